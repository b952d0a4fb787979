// SPDX-License-Identifier: MIT
// Pool: recycles the equal buffers of one stream.
//
// All buffers lie page-aligned in one Memory that is allocated once and touched as buffers are first used,
// so a steady stream faults no page, creates no object and sends no fd per frame. A slot is free when its
// buffer has no Attachment and its Slot token is gone. Thread: any; a Pool must outlive nothing (tokens
// keep its state alive).
#pragma once

#include <cstdint>
#include <memory>

#include <share/api.hpp>
#include <share/buffer.hpp>
#include <share/heap.hpp>

namespace share {

class SHARE_API Pool {
public:
    struct State;
    /// The holder's claim on one buffer. Dropping it gives the slot back.
    class [[nodiscard]] Slot {
    public:
        Slot() noexcept = default;
        Slot(Slot&&) noexcept;
        Slot& operator=(Slot&&) noexcept;
        ~Slot();
        explicit operator bool() const noexcept { return state_ != nullptr; }
        const std::shared_ptr<Buffer>& buffer() const noexcept;
        /// Stable for the life of the pool: a transport keeps its wl_buffer or pixmap by it.
        std::uint32_t index() const noexcept { return index_; }

    private:
        friend class Pool;
        void give_back() noexcept;
        std::shared_ptr<State> state_;
        std::uint32_t index_ = 0;
    };

    /// `slots` between 1 and 64; `wanted` is what the user wants of the memory. Errors: as Heap::allocate.
    static Result<Pool> create(Heap& heap, const Layout& layout, std::uint32_t slots, std::string_view name,
                               const AllocateOptions& wanted = {});
    Pool(Pool&&) noexcept;
    Pool& operator=(Pool&&) noexcept;
    ~Pool();

    const Layout& layout() const noexcept;
    std::uint32_t slot_count() const noexcept;
    const std::shared_ptr<Memory>& memory() const noexcept;
    const std::shared_ptr<Buffer>& buffer(std::uint32_t index) const;

    /// A free slot, the most recently used first (its pages are warm). Errors: busy when all are in use.
    Result<Slot> try_acquire();
    /// As above but waits: for programs whose releases come from another thread.
    Result<Slot> acquire(Deadline deadline);

private:
    explicit Pool(std::shared_ptr<State> state) noexcept;
    std::shared_ptr<State> state_;
};

} // namespace share
