// SPDX-License-Identifier: MIT
#include "server.hpp"

#include <fmt/format.h>
#include <signal.h>

#include <algorithm>
#include <cstdio>

namespace compositor {
namespace {
// A client that does not read its events is disconnected when it owes this much.
constexpr std::size_t max_unread_bytes = 1U << 20U;
constexpr int last_picture_ms = 250;
// Buffers that could not be read are tried again, ever more rarely: their owner may be stuck.
constexpr int first_retry_ms = 16, last_retry_ms = 1000;
} // namespace

share::Result<std::unique_ptr<Server>> Server::create(const Options& options, unsigned long child_nofile) {
    std::unique_ptr<Server> server(new Server(options));
    if (auto started = server->start(child_nofile); !started) return started.error();
    return server;
}

Server::Server(const Options& options) : options_(options) {}

share::Result<void> Server::start(unsigned long child_nofile) {
    display_.reset(wl_display_create());
    if (!display_)
        return share::error_from_errno(errno, "creating the Wayland display",
                                       "check the limit of open files (ulimit -n)");
    wl_display_set_default_max_buffer_size(display_.get(), max_unread_bytes);
    wl_event_loop* loop = wl_display_get_event_loop(display_.get());
    if (auto watched = watch_signals(); !watched) return watched;
    retry_timer_ = wl_event_loop_add_timer(loop, &on_retry, this);
    if (!retry_timer_) return share::error_from_errno(errno, "making a timer");
    // Before anything dear: most mistakes of a caller are here.
    auto socket = ListeningSocket::create(display_.get(), options_.socket);
    if (!socket) return socket.error();
    socket_ = std::move(*socket);

    std::string why;
    auto renderer = render::create_renderer({options_.renderer}, why);
    if (!renderer) return renderer.error();
    renderer_ = std::move(*renderer);
    ledger_.note("renderer", why);
    auto output = backend::HeadlessOutput::create(loop, *renderer_, options_.width, options_.height,
                                                  options_.refresh_mhz, *this);
    if (!output) return output.error();
    output_ = std::move(*output);
    Session::Config config;
    config.output.width = options_.width;
    config.output.height = options_.height;
    config.output.refresh_mhz = options_.refresh_mhz;
    auto session = Session::create(display_.get(), *renderer_, ledger_, *this, config);
    if (!session) return session.error();
    session_ = std::move(*session);
    output_->schedule_repaint();

    if (options_.command.empty()) return {};
    if (auto watched = watch_clients(); !watched) return watched;
    auto child = Child::start(display_.get(), options_.command, socket_->name(), child_nofile);
    if (!child) return child.error();
    child_ = std::move(*child);
    return {};
}

Server::~Server() {
    socket_.reset();
    if (display_) wl_display_destroy_clients(display_.get());
    child_.reset();
    output_.reset();
    session_.reset();
    renderer_.reset();
    for (wl_event_source* source : signals_)
        wl_event_source_remove(source);
    for (wl_event_source* timer : {retry_timer_, last_picture_timer_})
        if (timer) wl_event_source_remove(timer);
}

share::Result<void> Server::watch_signals() {
    wl_event_loop* loop = wl_display_get_event_loop(display_.get());
    for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGPIPE, SIGUSR1}) {
        wl_event_source* source = wl_event_loop_add_signal(loop, number, &on_signal, this);
        if (!source)
            return share::error_from_errno(errno, "watching signals",
                                           "check the limit of open files (ulimit -n)");
        signals_.push_back(source);
    }
    return {};
}

int Server::on_signal(int number, void* self) noexcept {
    auto* server = static_cast<Server*>(self);
    if (number == SIGUSR1)
        server->take_screenshot();
    else
        wl_display_terminate(server->display_.get());
    return 0;
}

share::Result<void> Server::watch_clients() {
    last_picture_timer_ =
        wl_event_loop_add_timer(wl_display_get_event_loop(display_.get()), &on_last_picture_over, this);
    if (!last_picture_timer_) return share::error_from_errno(errno, "making a timer");
    created_.server = this;
    created_.listener.notify = &on_client_created;
    wl_display_add_client_created_listener(display_.get(), &created_.listener);
    return {};
}

void Server::on_client_created(wl_listener* listener, void* client) noexcept {
    Server* self = reinterpret_cast<ClientWatch*>(listener)->server;
    auto watch = std::make_unique<ClientWatch>();
    watch->server = self;
    watch->listener.notify = &on_client_gone;
    wl_client_add_destroy_listener(static_cast<wl_client*>(client), &watch->listener);
    self->clients_.push_back(std::move(watch));
}

void Server::on_client_gone(wl_listener* listener, void*) noexcept {
    Server* self = reinterpret_cast<ClientWatch*>(listener)->server;
    wl_list_remove(&listener->link);
    std::erase_if(self->clients_, [&](const auto& watch) { return &watch->listener == listener; });
    self->keep_last_picture_ = true;
    wl_event_source_timer_update(self->last_picture_timer_, last_picture_ms);
}

int Server::on_last_picture_over(void* data) noexcept {
    auto* self = static_cast<Server*>(data);
    self->keep_last_picture_ = false;
    self->schedule_repaint();
    return 0;
}

void Server::retry_later() {
    retry_ms_ = std::clamp(2 * retry_ms_, first_retry_ms, last_retry_ms);
    wl_event_source_timer_update(retry_timer_, retry_ms_);
}

int Server::on_retry(void* self) noexcept {
    static_cast<Server*>(self)->schedule_repaint();
    return 0;
}

int Server::run() {
    wl_display_run(display_.get());
    take_screenshot();
    screenshots_.finish();
    const int status = child_ && child_->status() ? *child_->status() : 0;
    return status == 0 && screenshot_failed_ ? 1 : status;
}

void Server::take_screenshot() {
    if (options_.screenshot.empty()) return;
    auto pixels = output_->picture();
    if (!pixels) return written(options_.screenshot, std::move(pixels).error());
    screenshots_.put({options_.screenshot, output_->width(), output_->height(), std::move(*pixels)});
}

void Server::written(const std::string&, const share::Result<void>& result) {
    screenshot_failed_ = !result;
    if (!result) fmt::print(stderr, "share-compositor: {}\n", result.error().text());
}

void Server::schedule_repaint() {
    // The session's own making changes the scene before there is an output to tell.
    if (output_) output_->schedule_repaint();
}

void Server::recorded(const share::FrameRecord& record) {
    if (options_.explain != Explain::json) return;
    fmt::print("{}\n", ledger_.json(record));
    std::fflush(stdout);
}

void Server::repaint() {
    if (keep_last_picture_) return; // the timer asks again
    const scene::Frame* frame = session_ ? session_->begin_frame() : nullptr;
    if (!frame) return;
    const auto committed = output_->commit(*frame);
    if (!committed) {
        if (!std::exchange(failing_, true))
            fmt::print(stderr, "share-compositor: {}\n", committed.error().text());
        session_->frame_failed();
        retry_later();
        return;
    }
    failing_ = false;
}

void Server::presented(const backend::Presented& presented) {
    if (presented.undrawn.empty())
        retry_ms_ = 0;
    else
        retry_later();
    session_->frame_shown({presented.when, presented.refresh_ns, presented.sequence, presented.zero_copy},
                          presented);
}

} // namespace compositor
