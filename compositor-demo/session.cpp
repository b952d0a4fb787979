// SPDX-License-Identifier: MIT
#include "session.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace compositor {

using share::Code;
using share::make_error;

share::Result<std::unique_ptr<Session>> Session::create(wl_display* display, scene::ContentImporter& importer,
                                                        share::Ledger& ledger, SessionHost& host,
                                                        const Config& config) {
    const auto no_memory = [] {
        return make_error(Code::out_of_memory, "creating the Wayland globals", "out of memory");
    };
    auto quota = std::make_unique<wayland::Quota>();
    auto output = wayland::Output::create(display, *quota, config.output);
    if (!output) return no_memory();
    std::unique_ptr<Session> session(
        new Session(display, importer, ledger, host, config, std::move(output), std::move(quota)));
    session->globals_ = wayland::Globals::create(session->context_);
    if (!session->globals_) return no_memory();
    auto shm = share::wayland_server::Shm::create(display, importer.shm_formats());
    if (!shm) return shm.error();
    session->shm_ = std::move(*shm);
    if (!importer.dmabuf_formats().empty()) {
        auto dmabuf = share::wayland_server::LinuxDmabuf::create(display, *session);
        if (!dmabuf) return dmabuf.error();
        session->dmabuf_ = std::move(*dmabuf);
    }
    session->note_formats();
    session->output_->set_listener(*session);
    return session;
}

Session::Session(wl_display* display, scene::ContentImporter& importer, share::Ledger& ledger,
                 SessionHost& host, const Config& config, std::unique_ptr<wayland::Output> output,
                 std::unique_ptr<wayland::Quota> quota)
    : importer_(importer),
      ledger_(ledger),
      host_(host),
      quota_(std::move(quota)),
      output_(std::move(output)),
      scene_(config.output.width, config.output.height, config.background, *this),
      desktop_(scene_),
      context_{display, scene_, desktop_, importer_, buffers_, *quota_, *output_, ledger_} {}

Session::~Session() = default;

void Session::note_formats() {
    std::string shm, dmabuf;
    for (const share::Fourcc format : shm_->formats())
        shm += ' ' + share::fourcc_text(format);
    for (const auto& pair : formats())
        dmabuf += fmt::format(" {}:{}", share::fourcc_text(pair.format), share::modifier_text(pair.modifier));
    ledger_.note("wl_shm formats", shm.empty() ? "none" : shm.substr(1));
    ledger_.note("linux-dmabuf formats",
                 dmabuf.empty() ? "none: the renderer imports no dma-buf" : dmabuf.substr(1));
}

share::Result<std::shared_ptr<void>> Session::try_import(const std::shared_ptr<share::Buffer>& buffer) {
    auto content = importer_.import(buffer, true);
    if (!content) {
        // Once each, and not for ever: a client may try again and again.
        constexpr std::size_t enough = 32;
        const std::string why = content.error().text();
        if (refusals_.size() < enough &&
            std::find(refusals_.begin(), refusals_.end(), why) == refusals_.end())
            ledger_.note("linux-dmabuf refused", refusals_.emplace_back(why));
        return content.error();
    }
    return std::static_pointer_cast<void>(*content);
}

void Session::take_frame_work() {
    for (const std::uint64_t node : built_.visible) {
        const auto found = context_.surfaces.find(node);
        if (found == context_.surfaces.end()) continue;
        wayland::Surface& surface = *found->second;
        Stream stream{node, fmt::format("wl_surface {}", surface.id()), 0, surface.take_frame_work()};
        if (stream.work.updated) stream.frame = surface.next_frame_number();
        streams_.push_back(std::move(stream));
    }
}

const scene::Frame* Session::begin_frame() {
    for (const auto& [node, surface] : context_.surfaces)
        surface->update_output();
    built_ = scene_.build();
    const bool wanted = std::any_of(built_.visible.begin(), built_.visible.end(), [&](std::uint64_t node) {
        const auto found = context_.surfaces.find(node);
        return found != context_.surfaces.end() && found->second->wants_frame();
    });
    const bool same_direct = built_.frame.direct == last_direct_.lock();
    if (built_.frame.damage.empty() && !wanted && same_direct) return nullptr;
    last_direct_ = built_.frame.direct;
    take_frame_work();
    return &built_.frame;
}

void Session::output_bound(wl_resource* output) {
    for (const auto& [node, surface] : context_.surfaces)
        if (surface->client() == wl_resource_get_client(output)) surface->output_bound(output);
}

void Session::frame_shown(const wayland::Shown& shown, scene::Drawn drawn) {
    for (const auto& content : drawn.lost)
        for (const auto& [node, surface] : context_.surfaces)
            surface->check_lost(*content,
                                "reading the client's buffer while drawing: its file was truncated");
    // The picture before this one is no longer read: its buffer goes back to the client.
    shown_directly_ = std::move(built_.direct_hold);
    scene_.damage(drawn.undrawn);
    record(std::move(drawn.steps));
    const auto ms = static_cast<std::uint32_t>(static_cast<std::uint64_t>(shown.when.tv_sec) * 1000 +
                                               static_cast<std::uint64_t>(shown.when.tv_nsec) / 1'000'000);
    for (Stream& stream : streams_) {
        stream.work.feedbacks.presented(*output_, shown);
        stream.work.callbacks.done(ms);
        const auto surface = context_.surfaces.find(stream.node);
        if (surface != context_.surfaces.end()) surface->second->give_back_copied();
    }
    streams_.clear();
    built_ = {};
}

void Session::frame_failed() {
    for (Stream& stream : streams_)
        stream.work.callbacks.done(0);
    streams_.clear(); // feedback is discarded with them
    built_ = {};
    scene_.damage_all();
}

// The nodes that the steps were for, 0 for none. Each item ends with a step `compose`, in the items' order;
// what is before all items made the output's picture complete.
std::vector<std::uint64_t> Session::owners_of(const std::vector<share::Step>& steps) const {
    const auto& items = built_.item_nodes;
    const auto is_compose = [](const share::Step& step) { return step.stage == "compose"; };
    const auto composed = static_cast<std::size_t>(std::count_if(steps.begin(), steps.end(), is_compose));
    std::vector<std::uint64_t> owners;
    std::size_t before = composed < items.size() ? SIZE_MAX : composed - items.size(), item = 0;
    for (const share::Step& step : steps) {
        owners.push_back(before == 0 && item < items.size() ? items[item] : 0);
        if (!is_compose(step)) continue;
        if (before > 0)
            --before;
        else
            ++item;
    }
    return owners;
}

void Session::record(std::vector<share::Step> steps) {
    const std::vector<std::uint64_t> nodes = owners_of(steps);
    std::vector<share::FrameRecord> records;
    std::vector<std::uint64_t> owners;
    for (Stream& stream : streams_) {
        if (!stream.work.updated) continue;
        records.push_back({stream.frame, stream.name, std::move(stream.work.steps)});
        owners.push_back(stream.node);
    }
    // One stream: the frame was made for it. Several: each step goes to the surface whose content it drew,
    // and what nobody committed (an overlap drawn again) to the output.
    share::FrameRecord rest{0, "output", {}};
    for (std::size_t i = 0; i < steps.size(); ++i) {
        const auto owner = std::find(owners.begin(), owners.end(), nodes[i]);
        if (records.size() == 1)
            records[0].steps.push_back(std::move(steps[i]));
        else if (owner != owners.end())
            records[static_cast<std::size_t>(owner - owners.begin())].steps.push_back(std::move(steps[i]));
        else
            rest.steps.push_back(std::move(steps[i]));
    }
    if (!rest.steps.empty()) {
        rest.frame = ++output_frames_;
        records.push_back(std::move(rest));
    }
    for (share::FrameRecord& record : records) {
        host_.recorded(record);
        ledger_.add(std::move(record));
    }
}

} // namespace compositor
