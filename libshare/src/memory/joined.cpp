// SPDX-License-Identifier: MIT
#include <share/joined.hpp>

#include <fcntl.h>

#include <algorithm>
#include <vector>

#include <fmt/format.h>

#include <share/import.hpp>
#include <share/layout.hpp>

#include "memory/file_memory.hpp"
#include "memory/heaps/heaps.hpp"
#include "os/dmabuf.hpp"

namespace share {
namespace {

class JoinedMemory final : public FileMemory {
public:
    JoinedMemory(UniqueFd dmabuf, std::uint64_t size, std::string name, const Traits& traits,
                 std::vector<std::shared_ptr<Memory>> parts, detail::Charge charge)
        : FileMemory(std::move(dmabuf), size, "joined", std::move(name), traits),
          parts_(std::move(parts)),
          pinned_(std::move(charge)) {}

private:
    std::vector<std::shared_ptr<Memory>> parts_; ///< their bytes are still counted by them
    detail::Charge pinned_;                      ///< and these are new: what could be swapped until now
};

struct Checked {
    std::vector<os::UdmabufPart> parts;
    std::vector<std::shared_ptr<Memory>> memories;
    std::uint64_t size = 0;
    std::uint64_t newly_pinned = 0; ///< of these, what could be swapped out until now
    bool mappable = true;           ///< all of them are
};

Error wrong(Code code, std::size_t index, const MemoryRange& block, std::string why) {
    return make_error(code,
                      fmt::format("joining block {} (bytes {} to {} of {} '{}')", index, block.offset,
                                  checked_add(block.offset, block.length).value_or(UINT64_MAX),
                                  block.memory ? block.memory->heap() : "no memory",
                                  block.memory ? block.memory->name() : ""),
                      std::move(why));
}

Result<void> check_block(std::size_t index, const MemoryRange& block) {
    constexpr unsigned no_writing = F_SEAL_WRITE | 0x0010U; // F_SEAL_FUTURE_WRITE
    if (!block.memory) return wrong(Code::invalid_argument, index, block, "there is no memory");
    const std::uint64_t mask = os::page_size() - 1;
    const auto end = checked_add(block.offset, block.length);
    if (block.length == 0 || ((block.offset | block.length) & mask) != 0)
        return wrong(Code::invalid_argument, index, block,
                     fmt::format("offset and length must be multiples of the page size, {} bytes", mask + 1));
    if (!end || *end > block.memory->size())
        return wrong(Code::invalid_argument, index, block,
                     fmt::format("the memory ends at {}", block.memory->size()));
    const auto kind = block.memory->traits().kind;
    if (kind != MemoryKind::memfd && kind != MemoryKind::hugetlbfs)
        return wrong(Code::unsupported, index, block,
                     fmt::format("only sealed memfds can be joined, this is {} memory", to_string(kind)));
    auto facts = inspect_fd(block.memory->fd());
    if (!facts) return std::move(facts).error();
    if ((facts->seals & F_SEAL_SHRINK) == 0 || (facts->seals & no_writing) != 0)
        return wrong(Code::unsupported, index, block,
                     "its file must be sealed with F_SEAL_SHRINK and not against writing");
    if (!block.memory->traits().writable)
        return wrong(Code::unsupported, index, block,
                     "the memory is read-only here, and what joins it could be written to");
    return {};
}

/// Two names of one byte in one dma-buf would have no owner: compared by file, not by Memory, of which one
/// file may have several.
Result<void> check_overlap(std::span<const MemoryRange> blocks) {
    struct Range {
        Inode file;
        std::uint64_t begin, end;
        std::size_t index;
    };
    std::vector<Range> ranges;
    for (std::size_t i = 0; i < blocks.size(); ++i) {
        auto file = inode_of(blocks[i].memory->fd());
        if (!file) return std::move(file).error();
        ranges.push_back({*file, blocks[i].offset, blocks[i].offset + blocks[i].length, i});
    }
    std::sort(ranges.begin(), ranges.end(), [](const Range& a, const Range& b) {
        return std::tie(a.file.device, a.file.number, a.begin) <
               std::tie(b.file.device, b.file.number, b.begin);
    });
    for (std::size_t i = 1; i < ranges.size(); ++i) {
        const auto& before = ranges[i - 1];
        if (before.file == ranges[i].file && before.end > ranges[i].begin)
            return wrong(Code::invalid_argument, ranges[i].index, blocks[ranges[i].index],
                         fmt::format("block {} has some of the same bytes", before.index));
    }
    return {};
}

Result<Checked> check(std::span<const MemoryRange> blocks, std::string_view name) {
    const auto operation = [&] { return fmt::format("joining {} blocks as '{}'", blocks.size(), name); };
    if (blocks.empty()) return make_error(Code::invalid_argument, operation(), "there must be at least one");
    const auto limits = os::udmabuf_limits();
    if (limits.list_limit && blocks.size() > *limits.list_limit)
        return make_error(
            Code::limit, operation(),
            fmt::format(
                "udmabuf takes at most list_limit = {}; join fewer, larger blocks, or raise it in {} (root)",
                *limits.list_limit, os::udmabuf_list_limit_path));
    Checked checked;
    for (std::size_t i = 0; i < blocks.size(); ++i) {
        if (auto good = check_block(i, blocks[i]); !good) return std::move(good).error();
        const auto sum = checked_add(checked.size, blocks[i].length);
        if (!sum) return make_error(Code::limit, operation(), "the sum of their sizes overflows");
        checked.size = *sum;
        if (blocks[i].memory->traits().swappable) checked.newly_pinned += blocks[i].length;
        checked.mappable = checked.mappable && blocks[i].memory->traits().mappable;
        checked.parts.push_back({blocks[i].memory->fd(), blocks[i].offset, blocks[i].length});
        if (std::find(checked.memories.begin(), checked.memories.end(), blocks[i].memory) ==
            checked.memories.end())
            checked.memories.push_back(blocks[i].memory);
    }
    if (auto apart = check_overlap(blocks); !apart) return std::move(apart).error();
    return checked;
}

Traits joined_traits(bool mappable) noexcept {
    Traits traits = memfd_traits();
    traits.kind = MemoryKind::dmabuf;
    traits.exports = Exports::dmabuf;
    traits.swappable = false;
    traits.mappable = mappable;
    return traits;
}

} // namespace

Result<std::shared_ptr<Memory>> join(std::span<const MemoryRange> blocks, std::string_view name) {
    auto checked = check(blocks, name);
    if (!checked) return std::move(checked).error();
    auto charge = detail::Charge::take(0, checked->newly_pinned,
                                       fmt::format("joining {} blocks as '{}'", blocks.size(), name));
    if (!charge) return std::move(charge).error();
    auto device = open_udmabuf_device();
    if (!device) return std::move(device).error();
    auto dmabuf = os::create_udmabuf_list((*device)->get(), checked->parts);
    if (!dmabuf) return std::move(dmabuf).error();
    os::set_dmabuf_name(dmabuf->get(), std::string(name));
    return std::shared_ptr<Memory>(std::make_shared<JoinedMemory>(
        std::move(*dmabuf), checked->size, std::string(name), joined_traits(checked->mappable),
        std::move(checked->memories), std::move(*charge)));
}

} // namespace share
