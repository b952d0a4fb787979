// SPDX-License-Identifier: MIT
#include <share/wayland_server/linux_dmabuf.hpp>

#include <fmt/format.h>

#include "dmabuf_params.hpp"
#include "dmabuf_state.hpp"

namespace share::wayland_server {

namespace {

Limits limits_of(const DmabufLimits& l) {
    Limits limits{};
    limits[static_cast<std::size_t>(Use::objects)] = l.params;
    limits[static_cast<std::size_t>(Use::fds)] = l.fds;
    limits[static_cast<std::size_t>(Use::buffers)] = l.buffers;
    limits[static_cast<std::size_t>(Use::bytes)] = l.bytes;
    return limits;
}

class DmabufObject
    : public Resource<DmabufObject, &zwp_linux_dmabuf_v1_interface, struct zwp_linux_dmabuf_v1_interface> {
public:
    static const Requests requests;
    DmabufObject(NewResource resource, DmabufStatePtr state) : Resource(resource), state_(std::move(state)) {}
    void send_formats();

private:
    Outcome create_params(std::uint32_t id);
    Outcome get_default_feedback(std::uint32_t id) { return get_surface_feedback(id, nullptr); }
    Outcome get_surface_feedback(std::uint32_t id, wl_resource* surface);
    Refusal too_many() const {
        return refuse_no_memory(
            fmt::format("linux-dmabuf: limit of {} params and feedback objects", state_->limits.params));
    }
    DmabufStatePtr state_;
};
const DmabufObject::Requests DmabufObject::requests{
    {.destroy = request<&DmabufObject::destroy>,
     .create_params = request<&DmabufObject::create_params>,
     .get_default_feedback = request<&DmabufObject::get_default_feedback>,
     .get_surface_feedback = request<&DmabufObject::get_surface_feedback>}};

Outcome DmabufObject::create_params(std::uint32_t id) {
    auto charge = Charge::make(state_->accounts.of(client()), Use::objects);
    if (!charge) return too_many();
    // Qualified: its request handler create() hides the template.
    DmabufParams::Resource::create(client(), version(), id, state_, std::move(*charge));
    return accepted;
}

Outcome DmabufObject::get_surface_feedback(std::uint32_t id, wl_resource* surface) {
    auto charge = Charge::make(state_->accounts.of(client()), Use::objects);
    if (!charge) return too_many();
    auto* feedback = DmabufFeedback::create(client(), version(), id, state_, surface, std::move(*charge));
    if (!feedback) return accepted;
    std::erase_if(state_->feedbacks, [](const auto& weak) { return !weak; });
    state_->feedbacks.emplace_back(feedback);
    feedback->send();
    return accepted;
}

void DmabufObject::send_formats() {
    if (version() >= ZWP_LINUX_DMABUF_V1_GET_DEFAULT_FEEDBACK_SINCE_VERSION) return;
    const bool modifiers = version() >= ZWP_LINUX_DMABUF_V1_MODIFIER_SINCE_VERSION;
    Fourcc last = 0;
    for (const auto& [format, modifier] : state_->table->pairs()) {
        // `format` promises that a buffer without a modifier works.
        const bool plain = modifier == modifier::none || (!modifiers && modifier == modifier::linear);
        if (plain && format != last) {
            zwp_linux_dmabuf_v1_send_format(resource(), format);
            last = format;
        }
        if (modifiers)
            zwp_linux_dmabuf_v1_send_modifier(resource(), format, static_cast<std::uint32_t>(modifier >> 32),
                                              static_cast<std::uint32_t>(modifier));
    }
}

} // namespace

DmabufPolicy::~DmabufPolicy() = default;
void DmabufPolicy::refused(wl_client*, const Error&) {}
std::uint32_t DmabufPolicy::supported_flags() const {
    return 0;
}
std::vector<DmabufPolicy::Tranche> DmabufPolicy::tranches(wl_resource*) const {
    const auto all = formats();
    return {Tranche{main_device(), false, {all.begin(), all.end()}}};
}

LinuxDmabuf::State::State(DmabufPolicy& p, const DmabufLimits& l, std::shared_ptr<const FormatTable> t)
    : policy(&p),
      limits(l),
      version(p.main_device() != 0 ? 5 : 3),
      table(std::move(t)),
      accounts(limits_of(l)) {}

LinuxDmabuf::LinuxDmabuf(std::shared_ptr<State> state) noexcept : state_(std::move(state)) {}
LinuxDmabuf::~LinuxDmabuf() {
    state_->policy = nullptr;
}

Result<std::unique_ptr<LinuxDmabuf>> LinuxDmabuf::create(wl_display* display, DmabufPolicy& policy,
                                                         const DmabufLimits& limits) {
    auto table = FormatTable::create(policy.formats());
    if (!table) return std::move(table).error();
    std::unique_ptr<LinuxDmabuf> dmabuf(
        new LinuxDmabuf(std::make_shared<State>(policy, limits, std::move(*table))));
    dmabuf->global_ = Global::create<&LinuxDmabuf::bind>(display, zwp_linux_dmabuf_v1_interface,
                                                         dmabuf->version(), *dmabuf);
    if (!dmabuf->global_)
        return make_error(Code::out_of_memory, "creating the global zwp_linux_dmabuf_v1",
                          "libwayland refused");
    return dmabuf;
}

std::uint32_t LinuxDmabuf::version() const noexcept {
    return state_->version;
}

void LinuxDmabuf::bind(wl_client* client, std::uint32_t version, std::uint32_t id) {
    if (auto* object = DmabufObject::create(client, version, id, state_)) object->send_formats();
}

Result<void> LinuxDmabuf::feedback_changed() {
    auto table = FormatTable::create(state_->policy->formats());
    if (!table) return std::move(table).error();
    state_->table = std::move(*table);
    for (const auto& feedback : state_->feedbacks)
        if (feedback) feedback->send();
    return {};
}

} // namespace share::wayland_server
