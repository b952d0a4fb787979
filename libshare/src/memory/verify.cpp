// SPDX-License-Identifier: MIT
#include <share/heap.hpp>
#include <share/layout.hpp>

#include <fmt/format.h>

#include "os/dmabuf.hpp"
#include "os/file.hpp"
#include "os/map.hpp"
#include "os/sync_helper.hpp"

namespace share {
namespace {

/// A mapping that ends with its scope.
class View {
public:
    explicit View(std::span<std::byte> bytes) noexcept : bytes_(bytes) {}
    View(const View&) = delete;
    View& operator=(const View&) = delete;
    ~View() { os::unmap(bytes_); }
    /// volatile: two addresses of one byte are beyond what a compiler knows.
    volatile std::byte& operator[](std::uint64_t i) const noexcept { return bytes_[i]; }

private:
    std::span<std::byte> bytes_;
};

/// There with a marker, back with the old byte: where the two are one page, all is as before.
bool same_byte(volatile std::byte& a, volatile std::byte& b) noexcept {
    const std::byte old_a = a, old_b = b;
    const std::byte marker = ~old_a;
    a = marker;
    const bool there = b == marker;
    b = old_a;
    const bool back = a == old_a;
    if (there && back) return true;
    a = old_a;
    b = old_b;
    return false;
}

} // namespace

Result<void> verify_same_pages(int memfd, std::uint64_t offset, int dmabuf, std::uint64_t length) {
    const auto operation = [&] {
        return fmt::format("comparing dma-buf fd {} with bytes {} to {} of memfd fd {}", dmabuf, offset,
                           offset + length, memfd);
    };
    const auto end = checked_add(offset, length);
    auto file_status = os::status(memfd);
    if (!file_status) return std::move(file_status).error();
    auto dmabuf_size = os::seek_end(dmabuf);
    if (!dmabuf_size) return std::move(dmabuf_size).error();
    if (length == 0 || !end || *end > file_status->size || length > *dmabuf_size)
        return make_error(Code::invalid_argument, operation(), "the range is not inside both");
    auto file_bytes = os::map_shared(memfd, *end, Access::read_write);
    if (!file_bytes) return std::move(file_bytes).error();
    const View file(*file_bytes);
    auto dmabuf_bytes = os::map_shared(dmabuf, length, Access::read_write);
    if (!dmabuf_bytes) return std::move(dmabuf_bytes).error();
    const View other(*dmabuf_bytes);
    if (auto idle = os::wait_fences(dmabuf, Access::read_write, Deadline::none()); !idle) return idle;
    // The helper thread must be let run, also on a machine that is busy.
    const auto patience = Deadline::in(std::chrono::seconds(1));
    if (auto begun = os::sync_begin_guarded(dmabuf, Access::read_write, patience); !begun) return begun;
    std::optional<std::uint64_t> differs;
    for (std::uint64_t at = 0; at < length && !differs; at += os::page_size())
        if (!same_byte(file[offset + at], other[at])) differs = at;
    if (auto ended = os::sync_end(dmabuf, Access::read_write); !ended) return ended;
    if (differs)
        return make_error(
            Code::corrupt, operation(),
            fmt::format("they are different pages from byte {} on: a hole was punched into the memfd, "
                        "or this kernel's udmabuf is broken; use the heap memfd",
                        *differs));
    return {};
}

} // namespace share
