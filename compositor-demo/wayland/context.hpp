// SPDX-License-Identifier: MIT
// Context: what the protocol objects of one compositor share. Made by the server, which outlives all clients;
// objects keep a plain reference. Thread: the display's.
#pragma once

#include <unordered_map>

#include "scene/desktop.hpp"
#include "wayland/buffer.hpp"
#include "wayland/output.hpp"
#include "wayland/quota.hpp"

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
    /// Without a pong for this long a client is marked hung.
    int ping_patience_ms = 10'000;
    /// All wl_surfaces by their node's id; they enter and leave by themselves.
    std::unordered_map<std::uint64_t, Surface*> surfaces{};
};

} // namespace compositor::wayland
