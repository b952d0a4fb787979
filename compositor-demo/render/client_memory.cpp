// SPDX-License-Identifier: MIT
#include "render/client_memory.hpp"

#include <sys/stat.h>

#include <fmt/format.h>

namespace compositor::render {

namespace {

share::Error truncated(const share::Layout& layout) {
    return share::make_error(share::Code::corrupt,
                             fmt::format("reading a {}x{} {} client buffer", layout.width(), layout.height(),
                                         share::fourcc_text(layout.format())),
                             "the client made the file behind its buffer shorter than the buffer");
}

} // namespace

share::Deadline reading_deadline() {
    return share::Deadline::in(std::chrono::milliseconds(4));
}

share::Result<void> check_not_truncated(const share::Buffer& buffer) {
    const auto& layout = buffer.layout();
    for (std::size_t i = 0; i < layout.plane_count(); ++i) {
        const auto& memory = buffer.memory(i);
        if (!memory->traits().can_shrink || memory->fd() < 0) continue;
        struct stat st{};
        const auto end = buffer.offset() + layout.plane(i).offset + layout.plane_bytes(i);
        if (fstat(memory->fd(), &st) == 0 && S_ISREG(st.st_mode) &&
            static_cast<std::uint64_t>(st.st_size) < end)
            return truncated(layout);
    }
    return {};
}

void add_stale(scene::Region& stale, const scene::Region& damage, const share::Buffer& buffer) {
    constexpr std::size_t max_boxes = 256;
    stale.add(damage);
    stale.intersect(scene::Rect{0, 0, static_cast<int>(buffer.layout().width()),
                                static_cast<int>(buffer.layout().height())});
    if (stale.boxes().size() > max_boxes) stale = scene::Region(stale.extents());
}

share::Result<Reading> Reading::begin(const std::shared_ptr<share::Buffer>& buffer,
                                      share::Deadline deadline) {
    if (auto whole = check_not_truncated(*buffer); !whole) return std::move(whole).error();
    auto mapping = buffer->map(share::Access::read, deadline);
    if (!mapping) return std::move(mapping).error();
    Reading reading(std::move(*mapping));
    for (std::size_t i = 0; i < buffer->layout().plane_count(); ++i) {
        if (!buffer->memory(i)->traits().can_shrink) continue;
        auto guard = share::GuardedRegion::create(reading.mapping_.plane(i));
        if (!guard) return std::move(guard).error();
        reading.guards_[i].emplace(std::move(*guard));
    }
    return reading;
}

share::Result<void> Reading::end() {
    bool missing = false;
    for (auto& guard : guards_) {
        missing = missing || (guard && guard->tripped());
        guard.reset();
    }
    if (missing) return truncated(mapping_.layout());
    return mapping_.end();
}

} // namespace compositor::render
