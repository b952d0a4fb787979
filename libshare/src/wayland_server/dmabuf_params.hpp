// SPDX-License-Identifier: MIT
// DmabufParams: zwp_linux_buffer_params_v1. Collects planes once, then becomes a wl_buffer or refuses.
// Thread: the display's. Errors: as the protocol names them; see linux_dmabuf.hpp. Source:
// linux-dmabuf-v1.xml.
#pragma once

#include <array>
#include <variant>

#include "dmabuf_state.hpp"

namespace share::wayland_server {

class DmabufParams : public Resource<DmabufParams, &zwp_linux_buffer_params_v1_interface,
                                     struct zwp_linux_buffer_params_v1_interface> {
public:
    static const Requests requests;
    DmabufParams(NewResource resource, DmabufStatePtr state, Charge charge)
        : Resource(resource), state_(std::move(state)), charge_(std::move(charge)) {}

private:
    struct Slot {
        UniqueFd fd;
        Charge charge;
        Plane plane;
        std::uint64_t modifier = 0;
    };
    struct Wish {
        std::int32_t width, height;
        std::uint32_t format, flags;
    };
    /// The buffer, the client's mistake, or the machine's refusal.
    using Answer = std::variant<ClientBuffer::Facts, Refusal, Error>;
    using Memories = std::vector<std::shared_ptr<Memory>>;

    Outcome add(UniqueFd fd, std::uint32_t plane_idx, std::uint32_t offset, std::uint32_t stride,
                std::uint32_t modifier_hi, std::uint32_t modifier_lo);
    Outcome create(std::int32_t width, std::int32_t height, std::uint32_t format, std::uint32_t flags);
    Outcome create_immed(std::uint32_t buffer_id, std::int32_t width, std::int32_t height,
                         std::uint32_t format, std::uint32_t flags);

    Answer make(const Wish& wish);
    /// What can be refused by looking at the request alone.
    std::optional<std::variant<Refusal, Error>> check(const Wish& wish) const;
    Outcome check_planes() const;
    std::optional<std::variant<Refusal, Error>> check_format(const Wish& wish) const;
    std::uint64_t modifier(std::uint32_t format) const;
    std::variant<Memories, Refusal, Error> import_planes();
    std::variant<std::shared_ptr<Memory>, Refusal, Error> import_plane(Slot& slot);
    std::size_t count() const noexcept;

    DmabufStatePtr state_;
    Charge charge_;
    std::array<std::optional<Slot>, max_planes> slots_;
    bool used_ = false;
};

} // namespace share::wayland_server
