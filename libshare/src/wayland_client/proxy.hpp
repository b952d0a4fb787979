// SPDX-License-Identifier: MIT
// Owners of client-side protocol objects: Proxy<wl_buffer> destroys what it holds, by the object's own
// destructor request. Thread: that of the object's queue.
#pragma once

#include <memory>

#include <wayland-client.h>

#include "linux-dmabuf-v1-client.h"
// C allows a function and a struct of one name; here it would be a warning in a generated file.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow"
#include "presentation-time-client.h"
#pragma GCC diagnostic pop

namespace share::wayland_client {

struct DestroyProxy {
    void operator()(wl_buffer* p) const noexcept { wl_buffer_destroy(p); }
    void operator()(wl_callback* p) const noexcept { wl_callback_destroy(p); }
    void operator()(wl_registry* p) const noexcept { wl_registry_destroy(p); }
    void operator()(wl_event_queue* p) const noexcept { wl_event_queue_destroy(p); }
    void operator()(wl_shm_pool* p) const noexcept { wl_shm_pool_destroy(p); }
    void operator()(wl_shm* p) const noexcept {
        if (wl_shm_get_version(p) >= WL_SHM_RELEASE_SINCE_VERSION)
            wl_shm_release(p);
        else
            wl_shm_destroy(p);
    }
    void operator()(zwp_linux_dmabuf_v1* p) const noexcept { zwp_linux_dmabuf_v1_destroy(p); }
    void operator()(zwp_linux_buffer_params_v1* p) const noexcept { zwp_linux_buffer_params_v1_destroy(p); }
    void operator()(zwp_linux_dmabuf_feedback_v1* p) const noexcept {
        zwp_linux_dmabuf_feedback_v1_destroy(p);
    }
    void operator()(wp_presentation* p) const noexcept { wp_presentation_destroy(p); }
    void operator()(struct wp_presentation_feedback* p) const noexcept {
        wp_presentation_feedback_destroy(p);
    }
};

template<class T>
using Proxy = std::unique_ptr<T, DestroyProxy>;

/// A second view of somebody else's proxy, so that what is created through it lands on our queue.
struct DestroyWrapper {
    void operator()(void* p) const noexcept { wl_proxy_wrapper_destroy(p); }
};
template<class T>
using Wrapper = std::unique_ptr<T, DestroyWrapper>;

template<class T>
Wrapper<T> wrap_proxy(T* proxy, wl_event_queue* queue) {
    Wrapper<T> wrapper(static_cast<T*>(wl_proxy_create_wrapper(proxy)));
    if (wrapper) wl_proxy_set_queue(reinterpret_cast<wl_proxy*>(wrapper.get()), queue);
    return wrapper;
}

} // namespace share::wayland_client
