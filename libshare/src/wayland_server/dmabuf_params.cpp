// SPDX-License-Identifier: MIT
#include "dmabuf_params.hpp"

#include <fmt/format.h>

namespace share::wayland_server {

namespace {

constexpr std::uint32_t known_flags = ZWP_LINUX_BUFFER_PARAMS_V1_FLAGS_Y_INVERT |
                                      ZWP_LINUX_BUFFER_PARAMS_V1_FLAGS_INTERLACED |
                                      ZWP_LINUX_BUFFER_PARAMS_V1_FLAGS_BOTTOM_FIRST;
constexpr const char* operation = "making a wl_buffer of dma-bufs";

std::uint32_t code_of(Layout::Fault fault) {
    switch (fault) {
    case Layout::Fault::dimensions:
        return ZWP_LINUX_BUFFER_PARAMS_V1_ERROR_INVALID_DIMENSIONS;
    case Layout::Fault::plane_count:
        return ZWP_LINUX_BUFFER_PARAMS_V1_ERROR_INCOMPLETE;
    case Layout::Fault::bounds:
        return ZWP_LINUX_BUFFER_PARAMS_V1_ERROR_OUT_OF_BOUNDS;
    case Layout::Fault::format:
    case Layout::Fault::none:
        break;
    }
    return ZWP_LINUX_BUFFER_PARAMS_V1_ERROR_INVALID_FORMAT;
}

/// An import with what it costs its client, for as long as anybody holds the Memory.
struct CountedImport {
    std::shared_ptr<Memory> memory;
    Charge bytes, fd;
};

} // namespace

const DmabufParams::Requests DmabufParams::requests{{.destroy = request<&DmabufParams::destroy>,
                                                     .add = request<&DmabufParams::add>,
                                                     .create = request<&DmabufParams::create>,
                                                     .create_immed = request<&DmabufParams::create_immed>}};

Outcome DmabufParams::add(UniqueFd fd, std::uint32_t plane_idx, std::uint32_t offset, std::uint32_t stride,
                          std::uint32_t modifier_hi, std::uint32_t modifier_lo) {
    if (used_) return refuse(ZWP_LINUX_BUFFER_PARAMS_V1_ERROR_ALREADY_USED, "add after create");
    if (plane_idx >= max_planes)
        return refuse(ZWP_LINUX_BUFFER_PARAMS_V1_ERROR_PLANE_IDX,
                      fmt::format("plane {} of 0 to 3", plane_idx));
    if (slots_[plane_idx])
        return refuse(ZWP_LINUX_BUFFER_PARAMS_V1_ERROR_PLANE_SET, fmt::format("plane {} is set", plane_idx));
    const auto modifier = (std::uint64_t{modifier_hi} << 32) | modifier_lo;
    if (version() >= 5)
        for (const auto& slot : slots_)
            if (slot && slot->modifier != modifier)
                return refuse(ZWP_LINUX_BUFFER_PARAMS_V1_ERROR_INVALID_FORMAT,
                              "planes with different modifiers");
    auto charge = Charge::make(state_->accounts.of(client()), Use::fds);
    if (!charge) return refuse_no_memory(fmt::format("linux-dmabuf: limit of {} fds", state_->limits.fds));
    slots_[plane_idx].emplace(Slot{std::move(fd), std::move(*charge), {offset, stride}, modifier});
    return accepted;
}

std::size_t DmabufParams::count() const noexcept {
    std::size_t set = 0;
    for (const auto& slot : slots_)
        set += slot.has_value();
    return set;
}

std::uint64_t DmabufParams::modifier(std::uint32_t format) const {
    if (version() >= ZWP_LINUX_DMABUF_V1_MODIFIER_SINCE_VERSION) return slots_[0]->modifier;
    // Before version 3 nobody told the client of modifiers, and what it sends means nothing.
    return state_->table->contains({format, modifier::none}) ? modifier::none : modifier::linear;
}

Outcome DmabufParams::check_planes() const {
    const auto set = count();
    if (set == 0) return refuse(ZWP_LINUX_BUFFER_PARAMS_V1_ERROR_INCOMPLETE, "no plane was added");
    for (std::size_t i = 0; i < set; ++i)
        if (!slots_[i])
            return refuse(ZWP_LINUX_BUFFER_PARAMS_V1_ERROR_INCOMPLETE, fmt::format("plane {} is missing", i));
    return accepted;
}

std::optional<std::variant<Refusal, Error>> DmabufParams::check_format(const Wish& wish) const {
    for (std::size_t i = 1; i < count(); ++i)
        if (slots_[i]->modifier != slots_[0]->modifier)
            return make_error(Code::unsupported, operation, "planes with different modifiers");
    const FormatModifier pair{wish.format, modifier(wish.format)};
    if (state_->table->contains(pair) && find_format(pair.format)) return std::nullopt;
    auto why =
        fmt::format("{} {} was not advertised", fourcc_text(pair.format), modifier_text(pair.modifier));
    if (version() >= 4) return refuse(ZWP_LINUX_BUFFER_PARAMS_V1_ERROR_INVALID_FORMAT, std::move(why));
    return make_error(Code::unsupported, operation, std::move(why));
}

std::optional<std::variant<Refusal, Error>> DmabufParams::check(const Wish& wish) const {
    if (auto refusal = check_planes()) return std::move(*refusal);
    if ((wish.flags & ~known_flags) != 0)
        return refuse(ZWP_LINUX_BUFFER_PARAMS_V1_ERROR_INVALID_FORMAT,
                      fmt::format("unknown flags {:#x}", wish.flags));
    if (wish.width <= 0 || wish.height <= 0)
        return refuse(ZWP_LINUX_BUFFER_PARAMS_V1_ERROR_INVALID_DIMENSIONS,
                      fmt::format("{}x{}", wish.width, wish.height));
    if (auto broken = check_format(wish)) return broken;
    if (!state_->policy)
        return make_error(Code::unavailable, operation, "the compositor took linux-dmabuf away");
    if ((wish.flags & ~state_->policy->supported_flags()) != 0)
        return make_error(Code::unsupported, operation,
                          fmt::format("flags {:#x} are not supported", wish.flags));
    return std::nullopt;
}

std::variant<std::shared_ptr<Memory>, Refusal, Error> DmabufParams::import_plane(Slot& slot) {
    auto facts = inspect_fd(slot.fd.get());
    if (!facts) return std::move(facts).error();
    const auto account = state_->accounts.of(client());
    std::erase_if(account->imports, [](const auto& entry) { return entry.second.expired(); });
    auto& known = account->imports[{facts->inode.device, facts->inode.number}];
    // A memfd may have grown since.
    if (auto memory = known.lock(); memory && memory->size() == facts->size) return memory;

    ImportRules rules;
    rules.accept_memfd = state_->policy->accepts_memfd();
    auto memory = import_fd(std::move(slot.fd), rules);
    if (!memory) return std::move(memory).error();
    auto bytes = Charge::make(account, Use::bytes, (*memory)->size());
    if (!bytes)
        return refuse_no_memory(
            fmt::format("linux-dmabuf: limit of {} bytes of dma-bufs", state_->limits.bytes));
    auto counted = std::make_shared<CountedImport>(
        CountedImport{std::move(*memory), std::move(*bytes), std::move(slot.charge)});
    std::shared_ptr<Memory> shared(counted, counted->memory.get());
    known = shared;
    return shared;
}

std::variant<DmabufParams::Memories, Refusal, Error> DmabufParams::import_planes() {
    Memories memories;
    for (std::size_t i = 0; i < count(); ++i) {
        auto plane = import_plane(*slots_[i]);
        if (auto* refusal = std::get_if<Refusal>(&plane)) return std::move(*refusal);
        if (auto* error = std::get_if<Error>(&plane)) return std::move(*error);
        memories.push_back(std::get<0>(std::move(plane)));
    }
    return memories;
}

DmabufParams::Answer DmabufParams::make(const Wish& wish) {
    if (auto broken = check(wish))
        return std::visit([](auto&& why) { return Answer(std::forward<decltype(why)>(why)); },
                          std::move(*broken));
    auto imported = import_planes();
    if (auto* refusal = std::get_if<Refusal>(&imported)) return std::move(*refusal);
    if (auto* error = std::get_if<Error>(&imported)) return std::move(*error);
    auto memories = std::get<Memories>(std::move(imported));

    std::vector<Plane> planes;
    std::vector<std::uint64_t> sizes;
    for (std::size_t i = 0; i < memories.size(); ++i) {
        planes.push_back(slots_[i]->plane);
        sizes.push_back(memories[i]->size());
    }
    auto fault = Layout::Fault::none;
    auto layout =
        Layout::describe(static_cast<std::uint32_t>(wish.width), static_cast<std::uint32_t>(wish.height),
                         wish.format, modifier(wish.format), planes, sizes, &fault);
    if (!layout) return refuse(code_of(fault), layout.error().text());
    const bool one = std::ranges::all_of(memories, [&](const auto& m) { return m == memories[0]; });
    auto buffer = one ? Buffer::create(memories[0], 0, *layout) : Buffer::create(memories, *layout);
    if (!buffer) return std::move(buffer).error();

    auto charge = Charge::make(state_->accounts.of(client()), Use::buffers);
    if (!charge)
        return refuse_no_memory(fmt::format("linux-dmabuf: limit of {} buffers", state_->limits.buffers));
    auto content = state_->policy->try_import(*buffer);
    if (!content) return std::move(content).error();
    return ClientBuffer::Facts{.kind = ClientBuffer::Kind::dmabuf,
                               .buffer = std::move(*buffer),
                               .y_inverted = (wish.flags & ZWP_LINUX_BUFFER_PARAMS_V1_FLAGS_Y_INVERT) != 0,
                               .imported = std::move(*content),
                               .keep = std::make_shared<Charge>(std::move(*charge))};
}

Outcome DmabufParams::create(std::int32_t width, std::int32_t height, std::uint32_t format,
                             std::uint32_t flags) {
    if (std::exchange(used_, true))
        return refuse(ZWP_LINUX_BUFFER_PARAMS_V1_ERROR_ALREADY_USED, "create twice");
    auto answer = make({width, height, format, flags});
    slots_ = {}; // fds that were not imported are closed now, not when the client destroys this
    if (auto* refusal = std::get_if<Refusal>(&answer)) return std::move(*refusal);
    if (const auto* error = std::get_if<Error>(&answer)) {
        if (state_->policy) state_->policy->refused(client(), *error);
        zwp_linux_buffer_params_v1_send_failed(resource());
        return accepted;
    }
    if (const auto* buffer = ClientBuffer::create(client(), 1, 0, std::get<0>(std::move(answer))))
        zwp_linux_buffer_params_v1_send_created(resource(), buffer->resource());
    return accepted;
}

Outcome DmabufParams::create_immed(std::uint32_t buffer_id, std::int32_t width, std::int32_t height,
                                   std::uint32_t format, std::uint32_t flags) {
    if (std::exchange(used_, true))
        return refuse(ZWP_LINUX_BUFFER_PARAMS_V1_ERROR_ALREADY_USED, "create twice");
    auto answer = make({width, height, format, flags});
    slots_ = {};
    if (auto* refusal = std::get_if<Refusal>(&answer)) return std::move(*refusal);
    if (const auto* error = std::get_if<Error>(&answer)) {
        if (state_->policy) state_->policy->refused(client(), *error);
        return refuse(ZWP_LINUX_BUFFER_PARAMS_V1_ERROR_INVALID_WL_BUFFER, error->text());
    }
    ClientBuffer::create(client(), 1, buffer_id, std::get<0>(std::move(answer)));
    return accepted;
}

} // namespace share::wayland_server
