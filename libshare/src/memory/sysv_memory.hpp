// SPDX-License-Identifier: MIT
// SysvMemory: an attached System V segment, our own or imported. Attached for its whole life, because a
// segment marked for removal exists only while somebody is attached.
#pragma once

#include <utility>

#include <share/memory.hpp>

#include "os/file.hpp"
#include "os/map.hpp"
#include "os/sysv.hpp"

namespace share {

inline Traits sysv_traits() noexcept {
    Traits traits;
    traits.kind = MemoryKind::sysv;
    traits.contiguous = Tristate::no;
    traits.cache = CachePolicy::cached;
    traits.page_size = os::page_size();
    traits.swappable = true;
    traits.exports = Exports::sysv;
    traits.needs_mapping = true;
    return traits;
}

class SysvMemory final : public Memory {
public:
    SysvMemory(int id, std::span<std::byte> attached, std::string heap, std::string name,
               const Traits& traits)
        : Memory(attached.size(), std::move(heap), std::move(name), traits), id_(id), attached_(attached) {}
    ~SysvMemory() override {
        if (!handed_over_) os::unmap(attached_);
    }
    std::optional<int> sysv_id() const noexcept override { return id_; }

protected:
    Result<std::span<std::byte>> do_map(Access) override {
        handed_over_ = true; // from here on ~Memory unmaps it
        return attached_;
    }

private:
    int id_;
    std::span<std::byte> attached_;
    bool handed_over_ = false;
};

} // namespace share
