// SPDX-License-Identifier: MIT
// wl_output, version 4: the one output. Owned by the server; resources hold a weak way back.
// Thread: the display's. Units: output pixels, mHz.
#pragma once

#include <string>
#include <vector>

#include "wayland/quota.hpp"

#include <wayland-server-protocol.h>

namespace compositor::wayland {

class Output {
public:
    struct Description {
        std::string name = "HEADLESS-1";
        std::string description = "share-compositor headless output";
        int width = 0, height = 0, refresh_mhz = 0;
    };
    /// Whoever tells surfaces' owners where they are.
    class Listener {
    public:
        virtual ~Listener() = default;
        virtual void output_bound(wl_resource* output) = 0;
    };
    void set_listener(Listener& listener) noexcept { listener_ = &listener; }
    /// Null when memory is exhausted.
    static std::unique_ptr<Output> create(wl_display* display, Quota& quota, Description description);

    const Description& description() const noexcept { return description_; }

    template<class F>
    void for_each_resource_of(wl_client* client, F call) const {
        for (const auto& object : objects_)
            if (object && object->client() == client) call(object->resource());
    }

    class Object : public Resource<Object, &wl_output_interface, struct wl_output_interface> {
    public:
        static const Requests requests;
        Object(NewResource resource, Quota::Token token) : Resource(resource), token_(std::move(token)) {}

    private:
        Quota::Token token_;
    };

private:
    Output(Quota& quota, Description description) : quota_(quota), description_(std::move(description)) {}
    void bind(wl_client* client, std::uint32_t version, std::uint32_t id);
    Quota& quota_;
    Description description_;
    Listener* listener_ = nullptr;
    std::vector<Weak<Object>> objects_;
    Global global_;
};

} // namespace compositor::wayland
