// SPDX-License-Identifier: MIT
// wl_surface: commits that wait for the fences of their dma-bufs. What the client's device still writes is
// not shown; what it never finishes is given up at a deadline, and the old picture stays. The event loop
// waits, nobody else. A synchronised sub-surface's fences hold its parent's commit back: they are shown
// together.
#include <fmt/format.h>

#include "wayland/subsurface.hpp"
#include "wayland/surface.hpp"

namespace compositor::wayland {
namespace {

// More commits than this do not queue up: what came before is never seen.
constexpr std::size_t max_waiting = 16;
constexpr unsigned max_notes = 16;

/// The fence that holds the state's buffer back; one that is done when there is none.
share::Fence fence_of(const SurfaceState& state) {
    if (!state.use || !state.use->buffer().buffer()) return {};
    auto fence = state.use->buffer().buffer()->fence(share::Access::read);
    // A kernel that cannot say it: drawing gives up at its own deadline.
    return fence ? std::move(*fence) : share::Fence{};
}

bool held_back(const SurfaceState& state) {
    const auto fence = fence_of(state);
    return fence.fd() >= 0;
}

} // namespace

Outcome Surface::schedule(SurfaceState&& state) {
    if (waiting_.size() == max_waiting) {
        waiting_.back().state.merge(std::move(state));
        close_cached(waiting_.back().commit);
        return accepted;
    }
    if (waiting_.empty()) {
        std::vector<share::Fence> fences;
        collect_fences(state, std::nullopt, fences);
        if (fences.empty()) return apply(std::move(state));
    }
    const std::uint64_t commit = ++context_.commits_that_waited;
    close_cached(commit);
    waiting_.push_back({std::move(state), share::Deadline::in(context_.fence_patience), commit});
    return waiting_.size() == 1 ? advance() : accepted;
}

Outcome Surface::advance() {
    while (!waiting_.empty()) {
        auto& front = waiting_.front();
        std::vector<share::Fence> fences;
        collect_fences(front.state, front.commit, fences);
        if (!fences.empty() && !front.deadline.passed()) {
            wait_ =
                FenceWait::create(wl_display_get_event_loop(context_.display), fences, front.deadline, *this);
            if (wait_) return accepted;
        }
        if (!fences.empty()) give_up_content(front.state, front.commit);
        Waiting next = std::move(front);
        waiting_.pop_front();
        if (auto refused = apply(std::move(next.state), next.commit)) return refused;
    }
    return accepted;
}

void Surface::fences_changed() {
    const auto ended = std::move(wait_); // it is calling us: gone when this returns
    try {
        if (const Outcome refused = advance()) share::wayland_server::post(resource(), *refused);
    } catch (const std::bad_alloc&) {
        wl_resource_post_no_memory(resource());
    }
}

void Surface::collect_fences(const SurfaceState& state, std::optional<std::uint64_t> commit,
                             std::vector<share::Fence>& fences) const {
    if (auto fence = fence_of(state); fence.fd() >= 0) fences.push_back(std::move(fence));
    for (const Subsurface* child : children_) {
        if (!child->surface() || !child->effectively_sync()) continue;
        const Surface& surface = *child->surface();
        for (const Closed& closed : surface.closed_)
            if (!commit || closed.commit <= *commit) surface.collect_fences(closed.state, commit, fences);
        if (!commit && surface.cached_) surface.collect_fences(*surface.cached_, commit, fences);
    }
}

void Surface::close_cached(std::uint64_t commit) {
    for (const Subsurface* child : children_) {
        if (!child->surface() || !child->effectively_sync() || !child->surface()->cached_) continue;
        Surface& surface = *child->surface();
        SurfaceState state = std::move(*surface.cached_);
        surface.cached_.reset();
        if (!surface.closed_.empty() && surface.closed_.back().commit == commit)
            surface.closed_.back().state.merge(std::move(state));
        else
            surface.closed_.push_back({std::move(state), commit});
        surface.close_cached(commit);
    }
}

void Surface::give_up_content(SurfaceState& state, std::uint64_t commit) {
    if (held_back(state)) {
        leave_out_content(state);
        if (context_.fences_given_up++ < max_notes)
            context_.ledger.note("fence",
                                 fmt::format("wl_surface {}: the work on a committed dma-buf was not done "
                                             "within {} ms; the buffer is given up, the old picture stays",
                                             id(), context_.fence_patience.count()));
    }
    for (const Subsurface* child : children_) {
        if (!child->surface()) continue;
        for (Closed& closed : child->surface()->closed_)
            if (closed.commit <= commit) child->surface()->give_up_content(closed.state, commit);
    }
}

void Surface::leave_out_content(SurfaceState& state) {
    SurfaceState geometry = state.take_geometry_without_content();
    if (leftover_)
        leftover_->merge(std::move(geometry));
    else
        leftover_ = std::move(geometry);
}

void Surface::drop_waiting() {
    wait_.reset();
    for (Waiting& waiting : waiting_)
        leave_out_content(waiting.state);
    waiting_.clear();
}

/// While a given-up buffer's geometry waits for the next buffer, that of other commits joins it.
void Surface::keep_geometry(SurfaceState& state) {
    if (!leftover_) return;
    if (!state.attached) return leave_out_content(state);
    leftover_->merge(std::move(state));
    state = std::move(*leftover_);
    leftover_.reset();
}

std::optional<SurfaceState> Surface::take_cached(std::optional<std::uint64_t> commit) {
    std::optional<SurfaceState> all;
    const auto add = [&](SurfaceState&& state) {
        if (all)
            all->merge(std::move(state));
        else
            all = std::move(state);
    };
    while (!closed_.empty() && (!commit || closed_.front().commit <= *commit)) {
        add(std::move(closed_.front().state));
        closed_.pop_front();
    }
    if (!commit && cached_) {
        add(std::move(*cached_));
        cached_.reset();
    }
    return all;
}

Outcome Surface::apply_cached(std::optional<std::uint64_t> commit) {
    auto state = take_cached(commit);
    if (!state) return accepted;
    if (waiting_.empty()) return apply(std::move(*state), commit);
    // Commits from before the surface was synchronised still wait.
    waiting_.push_back({std::move(*state), share::Deadline::in(context_.fence_patience),
                        commit.value_or(++context_.commits_that_waited)});
    return accepted;
}

Outcome Surface::schedule_cached() {
    auto state = take_cached(std::nullopt);
    return state ? schedule(std::move(*state)) : accepted;
}

void Surface::drop_cached() {
    cached_.reset();
    closed_.clear();
}

} // namespace compositor::wayland
