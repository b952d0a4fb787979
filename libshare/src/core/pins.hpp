// SPDX-License-Identifier: MIT
// PinSlot: the dma-buf over one Buffer's range of a Memory: made when first wanted, shared by all who hold
// it, kept for a grace time after the last and until its fences have signalled (they are all that knows of a
// device's work), then closed. See share/accounting.hpp.
//
// Owner: the Buffer and every handle out. Thread: any; all slots are under one lock, so that a fork finds a
// moment in which none is half changed. Errors: none here; who makes the dma-buf has them.
#pragma once

#include <chrono>
#include <memory>
#include <optional>

#include <share/accounting.hpp>
#include <share/unique_fd.hpp>

namespace share::detail {

class PinSlot : public std::enable_shared_from_this<PinSlot> {
public:
    using Shared = std::shared_ptr<const UniqueFd>;
    PinSlot() = default;
    PinSlot(const PinSlot&) = delete;
    PinSlot& operator=(const PinSlot&) = delete;

    /// The dma-buf, held by the caller from now on; null where there is none.
    Shared take();
    /// The same for a look at it: a grace time that runs goes on running.
    Shared peek();
    /// A new one, held by the caller; there must be none. Without `rests` there is no grace time (it pins
    /// nothing: a duplicate of a dma-buf).
    Shared put(UniqueFd fd, Charge charge, bool rests);
    bool pinned() const noexcept;
    /// The Buffer goes: no more grace.
    void abandon() noexcept;

private:
    friend struct Pins;
    struct Hold;
    struct Pin {
        UniqueFd fd;
        Charge charge;
        bool rests = false;
    };
    void release() noexcept;
    void end_look() noexcept;
    bool unused() const noexcept { return users_ == 0 && looks_ == 0; }
    bool worked_on() const noexcept;

    std::optional<Pin> pin_;
    unsigned users_ = 0, looks_ = 0;
    bool abandoned_ = false;
    bool given_up_ = false; ///< goes with the last look
    std::chrono::steady_clock::time_point rests_until_;
};

} // namespace share::detail
