// SPDX-License-Identifier: MIT
#include "fake_compositor.hpp"

#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>
#include <set>
#include <stdexcept>

#include <wayland-client-core.h>
#include <wayland-server.h>

#include "linux-dmabuf-v1-server.h"
#include "presentation-time-server.h"

namespace testing {

struct FakeCompositor::Impl {
    FakeCompositor* owner = nullptr;
    FakeRules rules;
    wl_display* display = nullptr;
    wl_protocol_logger* logger = nullptr;
    std::set<wl_resource*> held; ///< wl_buffers that a surface shows or that are held back
    std::vector<wl_resource*> callbacks, feedbacks;
    wl_resource* attached = nullptr; ///< pending
    wl_resource* current = nullptr;
    std::vector<share::UniqueFd> memory; ///< keeps what clients sent, as a compositor that maps it would
};

namespace {

using Impl = FakeCompositor::Impl;

Impl& impl(wl_resource* resource) {
    return *static_cast<Impl*>(wl_resource_get_user_data(resource));
}
void destroy(wl_client*, wl_resource* resource) {
    wl_resource_destroy(resource);
}

const struct wl_buffer_interface buffer_requests = {.destroy = destroy};

wl_resource* make_buffer(Impl& me, wl_client* client, std::uint32_t id) {
    auto* const buffer = wl_resource_create(client, &wl_buffer_interface, 1, id);
    wl_resource_set_implementation(buffer, &buffer_requests, &me, [](wl_resource* gone) {
        auto& self = impl(gone);
        self.held.erase(gone);
        if (self.attached == gone) self.attached = nullptr;
        if (self.current == gone) self.current = nullptr;
        ++self.owner->buffers_destroyed;
    });
    ++me.owner->buffers_made;
    return buffer;
}

// wl_shm

const struct wl_shm_pool_interface pool_requests = {
    .create_buffer = [](wl_client* client, wl_resource* pool, std::uint32_t id, std::int32_t, std::int32_t,
                        std::int32_t, std::int32_t, std::uint32_t) { make_buffer(impl(pool), client, id); },
    .destroy = destroy,
    .resize = [](wl_client*, wl_resource*, std::int32_t) {},
};

const struct wl_shm_interface shm_requests = {
    .create_pool =
        [](wl_client* client, wl_resource* shm, std::uint32_t id, std::int32_t fd, std::int32_t) {
            impl(shm).memory.emplace_back(fd);
            auto* const pool = wl_resource_create(client, &wl_shm_pool_interface, 1, id);
            wl_resource_set_implementation(pool, &pool_requests, &impl(shm), nullptr);
        },
    .release = destroy,
};

// linux-dmabuf

struct Params {
    Impl* me = nullptr;
    share::UniqueFd fd;
    std::uint32_t offset = 0, stride = 0;
};
Params& params_of(wl_resource* resource) {
    return *static_cast<Params*>(wl_resource_get_user_data(resource));
}

const struct zwp_linux_buffer_params_v1_interface params_requests = {
    .destroy = destroy,
    .add =
        [](wl_client*, wl_resource* resource, std::int32_t fd, std::uint32_t, std::uint32_t offset,
           std::uint32_t stride, std::uint32_t high, std::uint32_t low) {
            auto& params = params_of(resource);
            params.fd.reset(fd);
            params.offset = offset;
            params.stride = stride;
            params.me->owner->last_modifier = (std::uint64_t{high} << 32) | low;
        },
    .create =
        [](wl_client* client, wl_resource* resource, std::int32_t, std::int32_t, std::uint32_t,
           std::uint32_t) {
            auto& params = params_of(resource);
            auto& me = *params.me;
            if (me.rules.error_on_create) {
                wl_resource_post_error(resource, ZWP_LINUX_BUFFER_PARAMS_V1_ERROR_INVALID_FORMAT, "as told");
                return;
            }
            if (!me.rules.answer_create) return;
            if (!me.rules.accept(params.fd.get(), params.offset) ||
                !me.rules.accept_layout(params.offset, params.stride)) {
                zwp_linux_buffer_params_v1_send_failed(resource);
                return;
            }
            me.memory.push_back(std::move(params.fd));
            zwp_linux_buffer_params_v1_send_created(resource, make_buffer(me, client, 0));
        },
    .create_immed =
        [](wl_client* client, wl_resource* resource, std::uint32_t id, std::int32_t, std::int32_t,
           std::uint32_t, std::uint32_t) {
            ++params_of(resource).me->owner->immediate_creates;
            make_buffer(*params_of(resource).me, client, id);
        },
};

const struct zwp_linux_dmabuf_feedback_v1_interface feedback_requests = {.destroy = destroy};

FakeRules::Table honest_table(const FakeRules& rules) {
    FakeRules::Table table;
    for (const auto& [format, modifier] : rules.dmabuf_formats) {
        table.indices.push_back(static_cast<std::uint16_t>(table.indices.size()));
        const auto at = table.bytes.size();
        table.bytes.resize(at + 16);
        std::memcpy(&table.bytes[at], &format, sizeof format);
        std::memcpy(&table.bytes[at + 8], &modifier, sizeof modifier);
    }
    table.claimed = static_cast<std::uint32_t>(table.bytes.size());
    return table;
}

void send_feedback(Impl& me, wl_client* client, std::uint32_t version, std::uint32_t id) {
    auto* const feedback =
        wl_resource_create(client, &zwp_linux_dmabuf_feedback_v1_interface, static_cast<int>(version), id);
    wl_resource_set_implementation(feedback, &feedback_requests, &me, nullptr);
    const auto honest = honest_table(me.rules);
    const auto& table = me.rules.table ? *me.rules.table : honest;
    share::UniqueFd fd(memfd_create("table", MFD_CLOEXEC));
    if (write(fd.get(), table.bytes.data(), table.bytes.size()) < 0) return;
    zwp_linux_dmabuf_feedback_v1_send_format_table(feedback, fd.get(), table.claimed);
    dev_t device = 0xe280;
    wl_array bytes{sizeof device, sizeof device, &device};
    wl_array indices{table.indices.size() * 2, table.indices.size() * 2,
                     const_cast<std::uint16_t*>(table.indices.data())};
    zwp_linux_dmabuf_feedback_v1_send_main_device(feedback, &bytes);
    zwp_linux_dmabuf_feedback_v1_send_tranche_target_device(feedback, &bytes);
    zwp_linux_dmabuf_feedback_v1_send_tranche_flags(feedback,
                                                    ZWP_LINUX_DMABUF_FEEDBACK_V1_TRANCHE_FLAGS_SCANOUT);
    zwp_linux_dmabuf_feedback_v1_send_tranche_formats(feedback, &indices);
    zwp_linux_dmabuf_feedback_v1_send_tranche_done(feedback);
    zwp_linux_dmabuf_feedback_v1_send_done(feedback);
}

const struct zwp_linux_dmabuf_v1_interface dmabuf_requests = {
    .destroy = destroy,
    .create_params =
        [](wl_client* client, wl_resource* dmabuf, std::uint32_t id) {
            auto* const params = wl_resource_create(client, &zwp_linux_buffer_params_v1_interface,
                                                    wl_resource_get_version(dmabuf), id);
            wl_resource_set_implementation(params, &params_requests, new Params{&impl(dmabuf), {}, 0},
                                           [](wl_resource* gone) { delete &params_of(gone); });
        },
    .get_default_feedback =
        [](wl_client* client, wl_resource* dmabuf, std::uint32_t id) {
            send_feedback(impl(dmabuf), client, static_cast<std::uint32_t>(wl_resource_get_version(dmabuf)),
                          id);
        },
    .get_surface_feedback =
        [](wl_client* client, wl_resource* dmabuf, std::uint32_t id, wl_resource*) {
            send_feedback(impl(dmabuf), client, static_cast<std::uint32_t>(wl_resource_get_version(dmabuf)),
                          id);
        },
};

void send_old_formats(Impl& me, wl_resource* dmabuf) {
    const auto version = wl_resource_get_version(dmabuf);
    for (const auto& [format, modifier] : me.rules.dmabuf_formats) {
        if (version < 4) zwp_linux_dmabuf_v1_send_format(dmabuf, format);
        if (version == 3)
            zwp_linux_dmabuf_v1_send_modifier(dmabuf, format, static_cast<std::uint32_t>(modifier >> 32),
                                              static_cast<std::uint32_t>(modifier));
    }
}

// wl_surface

void commit(Impl& me) {
    ++me.owner->commits;
    if (me.attached && me.attached != me.current) {
        if (me.current && me.rules.release) {
            wl_buffer_send_release(me.current);
            me.held.erase(me.current);
        }
        me.current = me.attached;
        me.held.insert(me.current);
    }
    if (me.rules.frame_callbacks) {
        for (auto* const callback : me.callbacks) {
            wl_callback_send_done(callback, 0);
            wl_resource_destroy(callback);
        }
        me.callbacks.clear();
    }
    for (auto* const feedback : me.feedbacks) {
        if (me.rules.discard_frames)
            wp_presentation_feedback_send_discarded(feedback);
        else
            wp_presentation_feedback_send_presented(
                feedback, 0, 5, 6, 16666666, 0, 7,
                me.rules.zero_copy ? WP_PRESENTATION_FEEDBACK_KIND_ZERO_COPY : 0);
        wl_resource_destroy(feedback);
    }
    me.feedbacks.clear();
}

const struct wl_surface_interface surface_requests = {
    .destroy = destroy,
    .attach = [](wl_client*, wl_resource* surface, wl_resource* buffer, std::int32_t,
                 std::int32_t) { impl(surface).attached = buffer; },
    .damage = [](wl_client*, wl_resource* surface, std::int32_t, std::int32_t, std::int32_t,
                 std::int32_t) { ++impl(surface).owner->damage_surface; },
    .frame =
        [](wl_client* client, wl_resource* surface, std::uint32_t id) {
            auto* const callback = wl_resource_create(client, &wl_callback_interface, 1, id);
            wl_resource_set_implementation(callback, nullptr, &impl(surface),
                                           [](wl_resource* gone) { std::erase(impl(gone).callbacks, gone); });
            impl(surface).callbacks.push_back(callback);
        },
    .set_opaque_region = [](wl_client*, wl_resource*, wl_resource*) {},
    .set_input_region = [](wl_client*, wl_resource*, wl_resource*) {},
    .commit = [](wl_client*, wl_resource* surface) { commit(impl(surface)); },
    .set_buffer_transform = [](wl_client*, wl_resource*, std::int32_t) {},
    .set_buffer_scale = [](wl_client*, wl_resource*, std::int32_t) {},
    .damage_buffer = [](wl_client*, wl_resource* surface, std::int32_t, std::int32_t, std::int32_t,
                        std::int32_t) { ++impl(surface).owner->damage_buffer; },
    .offset = [](wl_client*, wl_resource*, std::int32_t, std::int32_t) {},
};

const struct wl_compositor_interface compositor_requests = {
    .create_surface =
        [](wl_client* client, wl_resource* compositor, std::uint32_t id) {
            auto* const surface =
                wl_resource_create(client, &wl_surface_interface, wl_resource_get_version(compositor), id);
            wl_resource_set_implementation(surface, &surface_requests, &impl(compositor), nullptr);
        },
    .create_region = [](wl_client*, wl_resource*, std::uint32_t) {},
};

const struct wp_presentation_interface presentation_requests = {
    .destroy = destroy,
    .feedback =
        [](wl_client* client, wl_resource* presentation, wl_resource*, std::uint32_t id) {
            auto* const feedback = wl_resource_create(client, &wp_presentation_feedback_interface,
                                                      wl_resource_get_version(presentation), id);
            wl_resource_set_implementation(feedback, nullptr, &impl(presentation),
                                           [](wl_resource* gone) { std::erase(impl(gone).feedbacks, gone); });
            impl(presentation).feedbacks.push_back(feedback);
        },
};

template<const wl_interface& interface, const auto& requests, auto on_bind>
void add_global(Impl& me, std::uint32_t version) {
    wl_global_create(me.display, &interface, static_cast<int>(version), &me,
                     [](wl_client* client, void* data, std::uint32_t bound, std::uint32_t id) {
                         auto* const resource =
                             wl_resource_create(client, &interface, static_cast<int>(bound), id);
                         wl_resource_set_implementation(resource, &requests, data, nullptr);
                         on_bind(*static_cast<Impl*>(data), resource);
                     });
}

void count_fds_of(void* data, wl_protocol_logger_type type, const wl_protocol_logger_message* message) {
    if (type != WL_PROTOCOL_LOGGER_REQUEST) return;
    for (const char* at = message->message->signature; *at; ++at)
        if (*at == 'h') ++static_cast<Impl*>(data)->owner->fds_received;
}

} // namespace

FakeCompositor::FakeCompositor(FakeRules rules) : impl_(std::make_unique<Impl>()) {
    auto& me = *impl_;
    me.owner = this;
    me.rules = std::move(rules);
    me.display = wl_display_create();
    me.logger = wl_display_add_protocol_logger(me.display, count_fds_of, &me);
    add_global<wl_compositor_interface, compositor_requests, [](Impl&, wl_resource*) {}>(
        me, me.rules.compositor_version);
    if (me.rules.shm)
        add_global<wl_shm_interface, shm_requests, [](Impl& self, wl_resource* shm) {
            for (const auto format : self.rules.shm_formats)
                wl_shm_send_format(shm, format);
        }>(me, 2);
    if (me.rules.dmabuf_version > 0)
        add_global<zwp_linux_dmabuf_v1_interface, dmabuf_requests, send_old_formats>(me,
                                                                                     me.rules.dmabuf_version);
    if (me.rules.presentation)
        add_global<wp_presentation_interface, presentation_requests, [](Impl&, wl_resource* presentation) {
            wp_presentation_send_clock_id(presentation, 4);
        }>(me, 2);
}

FakeCompositor::~FakeCompositor() {
    stop_ = true;
    if (thread_.joinable()) thread_.join();
    wl_display_destroy_clients(impl_->display);
    wl_protocol_logger_destroy(impl_->logger);
    wl_display_destroy(impl_->display);
}

wl_display* FakeCompositor::connect() {
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) throw std::runtime_error("socketpair");
    if (!wl_client_create(impl_->display, ends[0])) throw std::runtime_error("wl_client_create");
    if (!thread_.joinable()) thread_ = std::thread([this] { serve(); });
    return wl_display_connect_to_fd(ends[1]);
}

void FakeCompositor::serve() {
    auto* const loop = wl_display_get_event_loop(impl_->display);
    while (!stop_) {
        if (hung_) {
            usleep(1000);
            continue;
        }
        wl_display_flush_clients(impl_->display);
        wl_event_loop_dispatch(loop, 2);
        if (!release_all_.exchange(false)) continue;
        for (auto* const buffer : impl_->held)
            if (buffer != impl_->current) wl_buffer_send_release(buffer);
        std::erase_if(impl_->held, [this](auto* buffer) { return buffer != impl_->current; });
    }
}

} // namespace testing
