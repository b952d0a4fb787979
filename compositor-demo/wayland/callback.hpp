// SPDX-License-Identifier: MIT
// Callbacks of frames: wl_callback objects, and lists of what waits for one frame to be shown.
// The resources own the objects; a list that dies ends those that still wait. Thread: the display's.
// Source: wl_surface.frame, wp_presentation.feedback.
#pragma once

#include <cstdint>
#include <ctime>
#include <vector>

#include "wayland/quota.hpp"

#include <presentation-time-server.h>
#include <wayland-server-protocol.h>

namespace compositor::wayland {

class Output;

class Callback : public Resource<Callback, &wl_callback_interface> {
public:
    static const Requests requests;
    Callback(NewResource resource, Quota::Token token) : Resource(resource), token_(std::move(token)) {}
    /// Ends the object.
    void done(std::uint32_t milliseconds);

private:
    Quota::Token token_;
};

/// When and how a frame was shown.
struct Shown {
    std::timespec when{}; ///< CLOCK_MONOTONIC
    std::uint32_t refresh_ns = 0;
    std::uint64_t sequence = 0;
    bool zero_copy = false;
};

class Feedback : public Resource<Feedback, &wp_presentation_feedback_interface> {
public:
    static const Requests requests;
    Feedback(NewResource resource, Quota::Token token) : Resource(resource), token_(std::move(token)) {}
    /// Each ends the object.
    void presented(const Output& output, const Shown& shown);
    void discarded();

private:
    Quota::Token token_;
};

class Callbacks {
public:
    Callbacks() = default;
    Callbacks(Callbacks&&) noexcept = default;
    Callbacks& operator=(Callbacks&& other) noexcept;
    ~Callbacks();
    void add(Callback* callback);
    void append(Callbacks&& other);
    void done(std::uint32_t milliseconds);
    /// All but the youngest `keep`.
    void done_oldest(std::size_t keep, std::uint32_t milliseconds);
    bool empty() const noexcept { return list_.empty(); }

private:
    std::vector<Weak<Callback>> list_;
};

class Feedbacks {
public:
    Feedbacks() = default;
    Feedbacks(Feedbacks&&) noexcept = default;
    Feedbacks& operator=(Feedbacks&& other) noexcept;
    ~Feedbacks();
    void add(Feedback* feedback);
    void append(Feedbacks&& other);
    void presented(const Output& output, const Shown& shown);
    void discard();
    bool empty() const noexcept { return list_.empty(); }

private:
    std::vector<Weak<Feedback>> list_;
};

} // namespace compositor::wayland
