// SPDX-License-Identifier: MIT
// Context: what the protocol objects of one compositor share. Made by the server, which outlives all clients;
// objects keep a plain reference. Thread: the display's.
#pragma once

#include <chrono>
#include <unordered_map>

#include "scene/desktop.hpp"
#include "wayland/buffer.hpp"
#include "wayland/output.hpp"
#include "wayland/quota.hpp"

#include <share/ledger.hpp>

namespace compositor::wayland {

class Surface;

struct Context {
    wl_display* display;
    scene::Scene& scene;
    scene::Desktop& desktop;
    scene::ContentImporter& importer;
    BufferTable& buffers;
    Quota& quota;
    Output& output;
    /// What is told once, not per frame.
    share::Ledger& ledger;
    /// How long a commit waits for the fences of its dma-bufs before its buffer is given up.
    std::chrono::milliseconds fence_patience{1000};
    std::uint64_t commits_that_waited = 0; ///< numbers them
    unsigned fences_given_up = 0;
    /// Without a pong for this long a client is marked hung.
    int ping_patience_ms = 10'000;
    /// All wl_surfaces by their node's id; they enter and leave by themselves.
    std::unordered_map<std::uint64_t, Surface*> surfaces{};
};

} // namespace compositor::wayland
