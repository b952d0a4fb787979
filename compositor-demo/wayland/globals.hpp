// SPDX-License-Identifier: MIT
// Globals: what the registry offers, of our own protocols (wl_output, wl_shm and linux-dmabuf come from
// elsewhere). Owned by the server. Thread: the display's.
#pragma once

#include <vector>

#include "wayland/context.hpp"

namespace compositor::wayland {

class Globals {
public:
    /// Null when memory is exhausted.
    static std::unique_ptr<Globals> create(Context& context);

private:
    explicit Globals(Context& context) : context_(context) {}
    template<class Object>
    void add(const wl_interface& interface, std::uint32_t version);
    template<class Object>
    void bind(wl_client* client, std::uint32_t version, std::uint32_t id);
    Context& context_;
    std::vector<Global> globals_;
};

} // namespace compositor::wayland
