// SPDX-License-Identifier: MIT
// Server: the compositor as a whole: display, socket, renderer, output and session, run by one event loop.
// Thread: the one that runs it. Beside it only PNG files are written.
#pragma once

#include <atomic>
#include <memory>

#include "backend/headless.hpp"
#include "backend/png_writer.hpp"
#include "child.hpp"
#include "options.hpp"
#include "session.hpp"
#include "socket.hpp"

namespace compositor {

class Server final : SessionHost, backend::HeadlessOutput::Painter, backend::PngWriter::Listener {
public:
    /// Errors: what the renderer, the socket or the command refuse.
    static share::Result<std::unique_ptr<Server>> create(const Options& options, unsigned long child_nofile);
    ~Server() override;
    Server(const Server&) = delete;
    Server& operator=(const Server&) = delete;

    const std::string& socket_name() const noexcept { return socket_->name(); }
    std::string renderer() const { return renderer_->describe(); }
    /// Until a signal or the command's end. Returns the exit status.
    int run();
    const share::Ledger& ledger() const noexcept { return ledger_; }

private:
    explicit Server(const Options& options);
    share::Result<void> start(unsigned long child_nofile);
    share::Result<void> watch_signals();
    static int on_signal(int number, void* self) noexcept;
    void take_screenshot();
    share::Result<void> watch_clients();
    static void on_client_created(wl_listener* listener, void* client) noexcept;
    static void on_client_gone(wl_listener* listener, void* client) noexcept;
    static int on_last_picture_over(void* self) noexcept;
    void retry_later();
    static int on_retry(void* self) noexcept;

    void schedule_repaint() override;
    void recorded(const share::FrameRecord& record) override;
    void repaint() override;
    void presented(const backend::Presented& presented) override;
    void written(const std::string& path, const share::Result<void>& result) override;

    struct DisplayDeleter {
        void operator()(wl_display* display) const noexcept { wl_display_destroy(display); }
    };
    Options options_;
    share::Ledger ledger_{"share-compositor"};
    std::unique_ptr<wl_display, DisplayDeleter> display_;
    std::vector<wl_event_source*> signals_;
    std::unique_ptr<render::Renderer> renderer_;
    std::unique_ptr<backend::HeadlessOutput> output_;
    std::unique_ptr<Session> session_;
    std::unique_ptr<ListeningSocket> socket_;
    std::unique_ptr<Child> child_;
    /// With a command, a client that goes may be its end: the picture stays for a moment, so that the
    /// screenshot at the end shows the window and not its absence.
    struct ClientWatch {
        wl_listener listener{};
        Server* server = nullptr;
    };
    ClientWatch created_;
    std::vector<std::unique_ptr<ClientWatch>> clients_;
    wl_event_source* last_picture_timer_ = nullptr;
    bool keep_last_picture_ = false;
    wl_event_source* retry_timer_ = nullptr; ///< for pixels of buffers that could not be read in time
    int retry_ms_ = 0;
    bool failing_ = false;                        ///< the last frame could not be shown, and that was said
    std::atomic<bool> screenshot_failed_ = false; ///< the last one
    backend::PngWriter screenshots_{*this};
};

} // namespace compositor
