// SPDX-License-Identifier: MIT
// Session: the clients' side of the compositor as one object: all globals, the scene that they fill, and the
// book-keeping around a frame (callbacks, feedback, buffers in use, the ledger). Knows no output backend:
// the host draws what begin_frame() gives. Owned by the server (or a test). Thread: the display's.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "scene/desktop.hpp"
#include "wayland/context.hpp"
#include "wayland/globals.hpp"
#include "wayland/surface.hpp"

#include <share/ledger.hpp>
#include <share/wayland_server/linux_dmabuf.hpp>
#include <share/wayland_server/shm.hpp>

namespace compositor {

/// Who owns the output.
class SessionHost {
public:
    virtual ~SessionHost() = default;
    virtual void schedule_repaint() = 0;
    /// A frame's record is complete.
    virtual void recorded(const share::FrameRecord& record) = 0;
};

class Session final : scene::Observer, wayland::Output::Listener, share::wayland_server::DmabufPolicy {
public:
    struct Config {
        wayland::Output::Description output;
        scene::Color background{0.16F, 0.18F, 0.22F, 1};
    };
    /// `display`, `importer`, `ledger` and `host` must outlive it; destroy the display's clients before it.
    static share::Result<std::unique_ptr<Session>> create(wl_display* display,
                                                          scene::ContentImporter& importer,
                                                          share::Ledger& ledger, SessionHost& host,
                                                          const Config& config);
    ~Session() override;

    /// The frame to show now; nothing when there is none to show. Ends in frame_shown() or frame_failed().
    const scene::Frame* begin_frame();
    /// `drawn`: what drawing or showing it came to. What is undrawn is damaged again; when to try is the
    /// host's business.
    void frame_shown(const wayland::Shown& shown, scene::Drawn drawn);
    /// It could not be shown: clients may go on, and the next frame is drawn as a whole.
    void frame_failed();

    wayland::Context& context() noexcept { return context_; }
    scene::Scene& scene() noexcept { return scene_; }

private:
    Session(wl_display* display, scene::ContentImporter& importer, share::Ledger& ledger, SessionHost& host,
            const Config& config, std::unique_ptr<wayland::Output> output,
            std::unique_ptr<wayland::Quota> quota);

    void scene_changed() override { host_.schedule_repaint(); }
    void output_bound(wl_resource* output) override;

    // DmabufPolicy
    std::span<const share::FormatModifier> formats() const override { return importer_.dmabuf_formats(); }
    std::uint64_t main_device() const override { return importer_.main_device(); }
    bool accepts_memfd() const override { return importer_.accepts_memfd_as_dmabuf(); }
    share::Result<std::shared_ptr<void>> try_import(const std::shared_ptr<share::Buffer>& buffer) override;

    struct Stream {
        std::uint64_t node = 0;
        std::string name;
        std::uint64_t frame = 0;
        wayland::Surface::FrameWork work;
    };
    void take_frame_work();
    void record(std::vector<share::Step> steps);
    std::vector<std::uint64_t> owners_of(const std::vector<share::Step>& steps) const;
    void note_formats();

    scene::ContentImporter& importer_;
    share::Ledger& ledger_;
    SessionHost& host_;
    std::unique_ptr<wayland::Quota> quota_;
    std::unique_ptr<wayland::Output> output_;
    scene::Scene scene_;
    scene::Desktop desktop_;
    wayland::BufferTable buffers_;
    wayland::Context context_;
    std::unique_ptr<wayland::Globals> globals_;
    std::unique_ptr<share::wayland_server::Shm> shm_;
    std::unique_ptr<share::wayland_server::LinuxDmabuf> dmabuf_;

    scene::Built built_;
    std::vector<Stream> streams_;          ///< of the frame under way
    std::shared_ptr<void> shown_directly_; ///< the buffer that the output reads
    std::weak_ptr<scene::Content> last_direct_;
    std::uint64_t output_frames_ = 0;
    std::vector<std::string> refusals_; ///< that the ledger has
};

} // namespace compositor
