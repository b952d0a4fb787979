// SPDX-License-Identifier: MIT
#include <share/x11/offer.hpp>

#include <sys/uio.h>

#include <array>
#include <cstring>
#include <string_view>

#include <fmt/format.h>
#include <xcb/shm.h>
#include <xcb/xcbext.h>

namespace share::x11 {

namespace {

/// QueryVersion of DRI3 and of Present, which look alike: request 0, the client's version, the server's.
struct VersionRequest {
    std::uint8_t opcode = 0, minor_opcode = 0;
    std::uint16_t length = 3; // in units of four bytes
    std::uint32_t major = 1, minor = 4;
};
struct VersionReply {
    std::uint8_t response_type, pad;
    std::uint16_t sequence;
    std::uint32_t length;
    std::uint32_t major, minor;
};

struct Cookie {
    unsigned sequence = 0;
};

/// A request without libxcb's wrapper, which would wait without limit for the extension's opcode, and would
/// need two more libraries.
unsigned send_raw(xcb_connection_t* xcb, void* request, std::size_t size) {
    std::array<iovec, 3> parts{}; // libxcb uses the two before the one that it is given
    parts[2] = {request, size};
    const xcb_protocol_request_t kind{1, nullptr, 0, 0};
    return xcb_send_request(xcb, XCB_REQUEST_RAW | XCB_REQUEST_CHECKED, &parts[2], &kind);
}

Result<std::optional<std::uint8_t>> opcode_of(Connection& connection, std::string_view name,
                                              Deadline deadline) {
    const std::string what = fmt::format("asking the X server for {}", name);
    const auto cookie =
        xcb_query_extension(connection.xcb(), static_cast<std::uint16_t>(name.size()), name.data());
    auto reply = connection.reply<xcb_query_extension_reply_t>(cookie, what.c_str(), deadline);
    if (!reply) return std::move(reply).error();
    if (!(*reply)->present) return std::optional<std::uint8_t>();
    return std::optional((*reply)->major_opcode);
}

Result<std::optional<ExtensionVersion>> version_of(Connection& connection, const char* name,
                                                   Deadline deadline) {
    auto opcode = opcode_of(connection, name, deadline);
    if (!opcode) return std::move(opcode).error();
    if (!*opcode) return std::optional<ExtensionVersion>();
    VersionRequest request;
    request.opcode = **opcode;
    const Cookie cookie{send_raw(connection.xcb(), &request, sizeof request)};
    auto reply = connection.reply<VersionReply>(cookie, name, deadline);
    if (!reply) return std::move(reply).error();
    return std::optional(ExtensionVersion{(*reply)->major, (*reply)->minor});
}

Result<void> ask_shm(Connection& connection, ServerOffer& offer, Deadline deadline) {
    auto opcode = opcode_of(connection, "MIT-SHM", deadline);
    if (!opcode) return std::move(opcode).error();
    if (!*opcode) return {};
    std::array<std::uint8_t, 4> request{**opcode, XCB_SHM_QUERY_VERSION, 0, 0};
    const std::uint16_t units = 1;
    std::memcpy(&request[2], &units, sizeof units);
    const Cookie cookie{send_raw(connection.xcb(), request.data(), request.size())};
    auto reply = connection.reply<xcb_shm_query_version_reply_t>(cookie, "MIT-SHM", deadline);
    if (!reply) return std::move(reply).error();
    offer.mit_shm = ExtensionVersion{(*reply)->major_version, (*reply)->minor_version};
    offer.shared_pixmaps = (*reply)->shared_pixmaps != 0;
    return {};
}

} // namespace

Result<ServerOffer> query_offer(Connection& connection, Deadline deadline) {
    if (auto ok = connection.check(); !ok) return std::move(ok).error();
    const auto* setup = xcb_get_setup(connection.xcb());
    ServerOffer offer;
    offer.vendor.assign(xcb_setup_vendor(setup), static_cast<std::size_t>(xcb_setup_vendor_length(setup)));
    offer.release = setup->release_number;
    offer.local = connection.passes_fds();
    offer.width = connection.screen().width_in_pixels;
    offer.height = connection.screen().height_in_pixels;
    offer.depth = connection.screen().root_depth;
    if (auto ok = ask_shm(connection, offer, deadline); !ok) return std::move(ok).error();
    auto dri3 = version_of(connection, "DRI3", deadline);
    if (!dri3) return std::move(dri3).error();
    offer.dri3 = *dri3;
    auto present = version_of(connection, "Present", deadline);
    if (!present) return std::move(present).error();
    offer.present = *present;
    return offer;
}

} // namespace share::x11
