// SPDX-License-Identifier: MIT
#include <share/v4l2/buffers.hpp>

#include <fmt/format.h>

namespace share::v4l2 {
namespace {

using Buffers = std::vector<std::shared_ptr<Buffer>>;

Result<Buffers> in_one_file(Heap& heap, const Layout& layout, std::uint32_t count, std::string_view name) {
    const auto size = checked_align(layout.size(), heap.traits().page_size);
    const auto total = size ? checked_mul(*size, count) : std::nullopt;
    if (!total)
        return make_error(Code::limit, fmt::format("making {} buffers for a device", count),
                          "the size overflows");
    auto memory = heap.allocate(*total, name);
    if (!memory) return std::move(memory).error();
    Buffers buffers;
    for (std::uint32_t i = 0; i < count; ++i) {
        auto buffer = Buffer::create(*memory, *size * i, layout);
        if (!buffer) return std::move(buffer).error();
        buffers.push_back(*std::move(buffer));
    }
    return buffers;
}

Result<std::shared_ptr<Buffer>> with_own_memories(Heap& heap, const StreamFormat& format,
                                                  const Layout& layout, std::string_view name) {
    std::vector<std::shared_ptr<Memory>> memories;
    for (const auto size : format.compressed() ? std::vector{layout.size()} : format.sizes) {
        auto memory = heap.allocate(size, name);
        if (!memory) return std::move(memory).error();
        memories.push_back(*std::move(memory));
    }
    if (memories.size() == 1) return Buffer::create(memories[0], 0, layout);
    return Buffer::create(memories, layout);
}

} // namespace

Result<Buffers> make_buffers(Heap& heap, const StreamFormat& format, std::uint32_t count,
                             std::string_view name) {
    auto layout = buffer_layout(format);
    if (!layout) return std::move(layout).error();
    if (format.sizes.size() == 1 && heap.traits().kind != MemoryKind::dmabuf)
        return in_one_file(heap, *layout, count, name);
    Buffers buffers;
    for (std::uint32_t i = 0; i < count; ++i) {
        auto buffer = with_own_memories(heap, format, *layout, name);
        if (!buffer) return std::move(buffer).error();
        buffers.push_back(*std::move(buffer));
    }
    return buffers;
}

} // namespace share::v4l2
