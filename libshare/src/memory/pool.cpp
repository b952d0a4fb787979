// SPDX-License-Identifier: MIT
#include <share/pool.hpp>

#include <algorithm>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "core/ownership.hpp"

namespace share {

struct Pool::State {
    explicit State(const Layout& l) : layout(l) {}
    Layout layout;
    std::shared_ptr<Memory> memory;
    std::vector<std::shared_ptr<Buffer>> buffers;
    std::shared_ptr<detail::IdleSignal> signal = std::make_shared<detail::IdleSignal>();
    std::vector<std::uint32_t> free; ///< tokens that are gone, last one most recent; guarded by signal->lock

    /// With signal->lock held. Newest first: its pages and cache lines are the warmest.
    std::optional<std::uint32_t> take() {
        for (auto at = free.rbegin(); at != free.rend(); ++at) {
            const std::uint32_t index = *at;
            if (!buffers[index]->ownership_->idle()) continue;
            free.erase(std::next(at).base());
            return index;
        }
        return std::nullopt;
    }
};

Pool::Slot::Slot(Slot&& other) noexcept : state_(std::move(other.state_)), index_(other.index_) {
    other.state_.reset();
}

Pool::Slot& Pool::Slot::operator=(Slot&& other) noexcept {
    if (this == &other) return *this;
    give_back();
    state_ = std::exchange(other.state_, nullptr);
    index_ = other.index_;
    return *this;
}

Pool::Slot::~Slot() {
    give_back();
}

void Pool::Slot::give_back() noexcept {
    if (!state_) return;
    {
        const std::lock_guard lock(state_->signal->lock);
        state_->free.push_back(index_); // capacity was reserved for all slots
        state_->signal->changed.notify_all();
    }
    state_.reset();
}

const std::shared_ptr<Buffer>& Pool::Slot::buffer() const noexcept {
    assert(state_);
    return state_->buffers[index_];
}

Pool::Pool(std::shared_ptr<State> state) noexcept : state_(std::move(state)) {}
Pool::Pool(Pool&&) noexcept = default;
Pool& Pool::operator=(Pool&&) noexcept = default;
Pool::~Pool() = default;

Result<Pool> Pool::create(Heap& heap, const Layout& layout, std::uint32_t slots, std::string_view name,
                          const AllocateOptions& wanted) {
    const auto operation = [&] {
        return fmt::format("making a pool of {} buffers of {} bytes", slots, layout.size());
    };
    if (slots == 0 || slots > 64)
        return make_error(Code::invalid_argument, operation(), "a pool has 1 to 64 buffers");
    const auto slot_size = checked_align(layout.size(), heap.traits().page_size);
    const auto total = slot_size ? checked_mul(*slot_size, slots) : std::nullopt;
    if (!total) return make_error(Code::limit, operation(), "the size overflows");
    auto memory = heap.allocate(*total, name, wanted);
    if (!memory) return std::move(memory).error();
    auto state = std::make_shared<State>(layout);
    state->memory = std::move(*memory);
    for (std::uint32_t i = 0; i < slots; ++i) {
        auto buffer = Buffer::create(state->memory, *slot_size * i, layout);
        if (!buffer) return std::move(buffer).error();
        (*buffer)->ownership_->set_signal(state->signal);
        state->buffers.push_back(std::move(*buffer));
    }
    for (std::uint32_t i = slots; i-- > 0;)
        state->free.push_back(i);
    return Pool(std::move(state));
}

const Layout& Pool::layout() const noexcept {
    return state_->layout;
}
std::uint32_t Pool::slot_count() const noexcept {
    return static_cast<std::uint32_t>(state_->buffers.size());
}
const std::shared_ptr<Memory>& Pool::memory() const noexcept {
    return state_->memory;
}
const std::shared_ptr<Buffer>& Pool::buffer(std::uint32_t index) const {
    return state_->buffers.at(index);
}

Result<Pool::Slot> Pool::try_acquire() {
    return acquire(Deadline::none());
}

Result<Pool::Slot> Pool::acquire(Deadline deadline) {
    std::unique_lock lock(state_->signal->lock);
    for (;;) {
        if (const auto index = state_->take()) {
            Slot slot;
            slot.state_ = state_;
            slot.index_ = *index;
            return slot;
        }
        if (deadline.passed())
            return make_error(Code::busy,
                              fmt::format("taking a buffer of a pool of {}", state_->buffers.size()),
                              "all are in use; the display has not released any yet");
        state_->signal->changed.wait_until(lock, deadline.when());
    }
}

} // namespace share
