// SPDX-License-Identifier: MIT
#include "wayland_fixture.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <stdexcept>
#include <utility>

#include <wayland-server-core.h>

#include "fake_content.hpp"
#include "session.hpp"
#include "wayland/xdg_wm_base.hpp"

namespace testing {
namespace {

using namespace compositor;

/// Takes every buffer as it is and reads none.
class FakeImporter : public scene::ContentImporter {
public:
    std::span<const share::Fourcc> shm_formats() const override { return formats_; }
    std::span<const share::FormatModifier> dmabuf_formats() const override { return dmabufs_; }
    bool accepts_memfd_as_dmabuf() const override { return false; }
    std::uint64_t main_device() const override { return 0; }
    share::Result<std::shared_ptr<scene::Content>> import(std::shared_ptr<share::Buffer> buffer,
                                                          bool) override {
        return std::shared_ptr<scene::Content>(std::make_shared<FakeContent>(std::move(buffer)));
    }
    share::Result<void> refresh(scene::Content& content, const scene::Region& damage) override {
        if (std::exchange(lose, false))
            return share::make_error(share::Code::corrupt, "reading a test buffer", "it is too short");
        if (!damage.empty()) static_cast<FakeContent&>(content).copied = false;
        return {};
    }
    void offer_dmabufs() { dmabufs_.push_back({share::format::xrgb8888, 0}); }
    bool lose = false, copies = false;

private:
    std::vector<share::FormatModifier> dmabufs_;
    std::array<share::Fourcc, 2> formats_{share::format::xrgb8888, share::format::argb8888};
};

} // namespace

struct TestCompositor::Impl : SessionHost {
    wl_display* display = wl_display_create();
    FakeImporter importer;
    share::Ledger ledger{"test"};
    int repaints = 0;
    bool lose = false, undrawn = false;
    std::uint64_t sequence = 0;
    Picture picture;
    std::unique_ptr<Session> session;

    void schedule_repaint() override { ++repaints; }
    void recorded(const share::FrameRecord&) override {}
};

TestCompositor::TestCompositor(int width, int height, bool dmabufs) : impl_(std::make_unique<Impl>()) {
    if (dmabufs) impl_->importer.offer_dmabufs();
    Session::Config config;
    config.output.width = width;
    config.output.height = height;
    config.output.refresh_mhz = 60'000;
    impl_->session = Session::create(impl_->display, impl_->importer, impl_->ledger, *impl_, config).value();
}

TestCompositor::~TestCompositor() {
    wl_display_destroy_clients(impl_->display);
    impl_->session.reset();
    wl_display_destroy(impl_->display);
}

share::UniqueFd TestCompositor::connect() {
    int fds[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) != 0) throw std::runtime_error("socketpair");
    if (!wl_client_create(impl_->display, fds[0])) throw std::runtime_error("wl_client_create");
    return share::UniqueFd(fds[1]);
}

void TestCompositor::serve() {
    wl_event_loop_dispatch(wl_display_get_event_loop(impl_->display), 0);
    wl_display_flush_clients(impl_->display);
}

bool TestCompositor::show(bool zero_copy) {
    const scene::Frame* frame = impl_->session->begin_frame();
    if (!frame) return false;
    impl_->picture = {};
    impl_->picture.damaged_pixels = frame->damage.area();
    impl_->picture.direct = frame->direct != nullptr;
    scene::Drawn drawn;
    for (const auto& item : frame->items) {
        impl_->picture.items.push_back(fmt::format("{},{} {}x{} {}", item.dest.x, item.dest.y,
                                                   item.dest.width, item.dest.height,
                                                   item.content ? "content" : "color"));
        if (impl_->lose && item.content) drawn.lost.push_back(item.content);
        if (impl_->undrawn && item.content) drawn.undrawn.add(item.clip);
        if (impl_->importer.copies && item.content && !frame->direct)
            static_cast<FakeContent&>(*item.content).copied = true;
        drawn.steps.push_back({"compose", share::Mechanism::map, share::By::compositor,
                               item.content ? item.clip.area() * 4 : 0, 0, "test"});
    }
    impl_->lose = impl_->undrawn = false;
    wayland::Shown shown;
    clock_gettime(CLOCK_MONOTONIC, &shown.when);
    shown.refresh_ns = 16'666'667;
    shown.sequence = ++impl_->sequence;
    shown.zero_copy = zero_copy;
    impl_->session->frame_shown(shown, std::move(drawn));
    return true;
}

const TestCompositor::Picture& TestCompositor::picture() const {
    return impl_->picture;
}
share::Ledger& TestCompositor::ledger() {
    return impl_->ledger;
}
int TestCompositor::repaints_asked() const {
    return impl_->repaints;
}
std::size_t TestCompositor::surfaces() const {
    return impl_->session->context().surfaces.size();
}
int TestCompositor::clients() const {
    return wl_list_length(wl_display_get_client_list(impl_->display));
}
void TestCompositor::lose_content_in_next_frame() {
    impl_->lose = true;
}
void TestCompositor::lose_content_at_commit() {
    impl_->importer.lose = true;
}
void TestCompositor::leave_next_frame_undrawn() {
    impl_->undrawn = true;
}
void TestCompositor::copy_contents() {
    impl_->importer.copies = true;
}
void TestCompositor::set_fence_patience(std::chrono::milliseconds patience) {
    impl_->session->context().fence_patience = patience;
}
void TestCompositor::set_ping_patience(int milliseconds) {
    impl_->session->context().ping_patience_ms = milliseconds;
}
int TestCompositor::hung_clients() const {
    int hung = 0;
    const auto count = [](wl_resource* resource, void* sum) {
        const auto* base = wayland::XdgWmBase::from(resource);
        if (base && base->hung()) ++*static_cast<int*>(sum);
        return WL_ITERATOR_CONTINUE;
    };
    wl_client* client = nullptr;
    wl_client_for_each(client, wl_display_get_client_list(impl_->display))
        wl_client_for_each_resource(client, count, &hung);
    return hung;
}

namespace {

template<class T>
bool bind(TestClient& client, std::uint32_t name, const char* offered, std::uint32_t version,
          const wl_interface& wanted, T*& into) {
    if (std::strcmp(offered, wanted.name) != 0) return false;
    into = static_cast<T*>(wl_registry_bind(client.registry, name, &wanted, version));
    return true;
}

void on_global(void* data, wl_registry*, std::uint32_t name, const char* interface, std::uint32_t version) {
    auto& c = *static_cast<TestClient*>(data);
    c.versions[interface] = version;
    if (std::strcmp(interface, wl_output_interface.name) == 0) c.output_name = name;
    (void)(bind(c, name, interface, version, wl_compositor_interface, c.compositor) ||
           bind(c, name, interface, version, wl_subcompositor_interface, c.subcompositor) ||
           bind(c, name, interface, version, wl_shm_interface, c.shm) ||
           bind(c, name, interface, version, wl_seat_interface, c.seat) ||
           bind(c, name, interface, version, wl_output_interface, c.output) ||
           bind(c, name, interface, version, wl_data_device_manager_interface, c.data_device_manager) ||
           bind(c, name, interface, version, xdg_wm_base_interface, c.wm_base) ||
           bind(c, name, interface, version, wp_viewporter_interface, c.viewporter) ||
           bind(c, name, interface, version, wp_presentation_interface, c.presentation) ||
           bind(c, name, interface, version, wp_single_pixel_buffer_manager_v1_interface, c.single_pixel) ||
           bind(c, name, interface, version, zwp_linux_dmabuf_v1_interface, c.dmabuf));
}
void on_global_remove(void*, wl_registry*, std::uint32_t) {}
const wl_registry_listener registry_listener{on_global, on_global_remove};

void on_done(void* data, wl_callback* callback, std::uint32_t) {
    *static_cast<bool*>(data) = true;
    wl_callback_destroy(callback);
}
const wl_callback_listener done_listener{on_done};

} // namespace

TestClient::TestClient(TestCompositor& server) : server_(server) {
    display = wl_display_connect_to_fd(server.connect().release());
    registry = wl_display_get_registry(display);
    wl_registry_add_listener(registry, &registry_listener, this);
    sync();
    sync();
}

TestClient::~TestClient() {
    wl_display_disconnect(display);
    server_.serve();
}

void TestClient::sync() {
    auto done = std::make_unique<bool>(false);
    wl_callback_add_listener(wl_display_sync(display), &done_listener, done.get());
    for (int turn = 0; turn < 10'000 && !*done; ++turn) {
        while (wl_display_prepare_read(display) != 0)
            if (wl_display_dispatch_pending(display) < 0) break;
        const bool flushed = wl_display_flush(display) >= 0 || errno == EAGAIN;
        server_.serve();
        pollfd readable{wl_display_get_fd(display), POLLIN, 0};
        if (poll(&readable, 1, 0) == 1)
            wl_display_read_events(display);
        else
            wl_display_cancel_read(display);
        if (wl_display_dispatch_pending(display) < 0 || (!flushed && wl_display_get_error(display) != 0))
            break;
    }
    if (!*done) (void)done.release(); // a dead connection's callback may still point there
}

std::optional<PostedError> TestClient::error() {
    const int error = wl_display_get_error(display);
    if (error == ENOMEM) return PostedError{"wl_display", WL_DISPLAY_ERROR_NO_MEMORY};
    if (error != EPROTO) return std::nullopt;
    const wl_interface* interface = nullptr;
    std::uint32_t id = 0;
    const std::uint32_t code = wl_display_get_protocol_error(display, &interface, &id);
    return PostedError{interface ? interface->name : "", code};
}

bool TestClient::alive() {
    sync();
    return wl_display_get_error(display) == 0;
}

wl_buffer* TestClient::pixel(std::uint32_t alpha) {
    return wp_single_pixel_buffer_manager_v1_create_u32_rgba_buffer(single_pixel, 0, 0, 0, alpha);
}

wl_shm_pool* TestClient::pool(int size, int file_size) {
    shm_fd.reset(memfd_create("test pool", MFD_CLOEXEC));
    if (ftruncate(shm_fd.get(), file_size) != 0) throw std::runtime_error("ftruncate");
    return wl_shm_create_pool(shm, shm_fd.get(), size);
}

wl_buffer* TestClient::shm_buffer(int width, int height, std::uint32_t format) {
    wl_shm_pool* of = pool(width * height * 4, width * height * 4);
    wl_buffer* buffer = wl_shm_pool_create_buffer(of, 0, width, height, width * 4, format);
    wl_shm_pool_destroy(of);
    return buffer;
}

namespace {

void on_surface_configure(void* data, xdg_surface*, std::uint32_t serial) {
    auto& t = *static_cast<TestToplevel*>(data);
    t.serial = serial;
    ++t.configures;
}
const xdg_surface_listener surface_listener{on_surface_configure};

void on_configure(void* data, xdg_toplevel*, std::int32_t width, std::int32_t height, wl_array* states) {
    auto& t = *static_cast<TestToplevel*>(data);
    t.width = width;
    t.height = height;
    const auto* first = static_cast<const std::uint32_t*>(states->data);
    t.states.assign(first, first + states->size / sizeof(std::uint32_t));
}
void on_close(void*, xdg_toplevel*) {}
void on_bounds(void* data, xdg_toplevel*, std::int32_t width, std::int32_t) {
    static_cast<TestToplevel*>(data)->bounds_width = width;
}
void on_capabilities(void* data, xdg_toplevel*, wl_array* list) {
    static_cast<TestToplevel*>(data)->capabilities = static_cast<int>(list->size / sizeof(std::uint32_t));
}
const xdg_toplevel_listener toplevel_listener{on_configure, on_close, on_bounds, on_capabilities};

} // namespace

TestToplevel::TestToplevel(TestClient& of, bool commit) : client(of), surface(of.surface()) {
    base = xdg_wm_base_get_xdg_surface(client.wm_base, surface);
    toplevel = xdg_surface_get_toplevel(base);
    xdg_surface_add_listener(base, &surface_listener, this);
    xdg_toplevel_add_listener(toplevel, &toplevel_listener, this);
    if (!commit) return;
    wl_surface_commit(surface);
    client.sync();
}

void TestToplevel::map(wl_buffer* buffer, int to_width, int to_height) {
    xdg_surface_ack_configure(base, serial);
    if (to_width > 0) {
        if (!viewport) viewport = wp_viewporter_get_viewport(client.viewporter, surface);
        wp_viewport_set_destination(viewport, to_width, to_height);
    }
    wl_surface_attach(surface, buffer, 0, 0);
    wl_surface_damage_buffer(surface, 0, 0, INT32_MAX, INT32_MAX);
    wl_surface_commit(surface);
    client.sync();
}

bool TestToplevel::has_state(std::uint32_t state) const {
    for (const std::uint32_t s : states)
        if (s == state) return true;
    return false;
}

} // namespace testing
