// SPDX-License-Identifier: MIT
#include "wayland/output.hpp"

namespace compositor::wayland {

const Output::Object::Requests Output::Object::requests{{.release = request<&Output::Object::destroy>}};

std::unique_ptr<Output> Output::create(wl_display* display, Quota& quota, Description description) {
    std::unique_ptr<Output> output(new Output(quota, std::move(description)));
    output->global_ = Global::create<&Output::bind>(display, wl_output_interface, 4, *output);
    if (!output->global_) return nullptr;
    return output;
}

void Output::bind(wl_client* client, std::uint32_t version, std::uint32_t id) {
    auto token = quota_.take(client, Quota::Kind::object);
    if (!token) return wl_client_post_no_memory(client);
    Object* object = Object::create(client, version, id, std::move(token));
    if (!object) return;
    std::erase_if(objects_, [](const Weak<Object>& old) { return !old; });
    objects_.emplace_back(object);

    wl_resource* r = object->resource();
    const Description& d = description_;
    wl_output_send_geometry(r, 0, 0, 0, 0, WL_OUTPUT_SUBPIXEL_UNKNOWN, "libshare", "headless",
                            WL_OUTPUT_TRANSFORM_NORMAL);
    wl_output_send_mode(r, WL_OUTPUT_MODE_CURRENT | WL_OUTPUT_MODE_PREFERRED, d.width, d.height,
                        d.refresh_mhz);
    if (version >= WL_OUTPUT_SCALE_SINCE_VERSION) wl_output_send_scale(r, 1);
    if (version >= WL_OUTPUT_NAME_SINCE_VERSION) {
        wl_output_send_name(r, d.name.c_str());
        wl_output_send_description(r, d.description.c_str());
    }
    if (version >= WL_OUTPUT_DONE_SINCE_VERSION) wl_output_send_done(r);
    if (listener_) listener_->output_bound(r);
}

} // namespace compositor::wayland
