// SPDX-License-Identifier: MIT
#include <fcntl.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <limits>

#include <fmt/format.h>
#include <xcb/shm.h>

#include "transport.hpp"

namespace share::x11 {

namespace {

constexpr std::size_t puts_per_send = 128; // 40 bytes each: far below what libxcb queues without sending

class ShmTransport final : public Transport {
public:
    ShmTransport(const Target& target, const ShmSupport& shm, Mechanism mechanism)
        : target_(target),
          shm_(shm),
          mechanism_(mechanism),
          segment_(xcb_generate_id(target.connection->xcb())) {}
    ~ShmTransport() override {
        if (attached_ && target_.connection->check()) xcb_shm_detach(target_.connection->xcb(), segment_);
    }
    Mechanism mechanism() const noexcept override { return mechanism_; }
    std::uint8_t opcode() const noexcept override { return shm_.opcode; }
    Sent put(const std::shared_ptr<Buffer>& buffer, std::span<const Put> puts, Deadline deadline) override;
    std::optional<std::uint32_t> completed(const xcb_generic_event_t& event) const noexcept override;

    Result<void> attach_fd(UniqueFd fd, Deadline deadline);
    Result<void> attach_sysv(int id, Deadline deadline);
    Result<void> prove(const std::shared_ptr<Buffer>& buffer, Deadline deadline);

private:
    unsigned queue(const Buffer& buffer, xcb_drawable_t drawable, const Put& put, bool notify);
    Result<std::uint32_t> server_pixel(const Buffer& buffer, Deadline deadline);
    Target target_;
    ShmSupport shm_;
    Mechanism mechanism_;
    xcb_shm_seg_t segment_;
    bool attached_ = false;
};

unsigned ShmTransport::queue(const Buffer& buffer, xcb_drawable_t drawable, const Put& put, bool notify) {
    const auto& layout = buffer.layout();
    const auto& plane = layout.plane(0);
    const auto& r = put.source;
    return xcb_shm_put_image(target_.connection->xcb(), drawable, target_.gc,
                             static_cast<std::uint16_t>(plane.stride / (target_.bits_per_pixel / 8U)),
                             static_cast<std::uint16_t>(layout.height()), static_cast<std::uint16_t>(r.x),
                             static_cast<std::uint16_t>(r.y), static_cast<std::uint16_t>(r.width),
                             static_cast<std::uint16_t>(r.height), put.x, put.y, target_.depth,
                             XCB_IMAGE_FORMAT_Z_PIXMAP, notify, segment_,
                             static_cast<std::uint32_t>(buffer.offset() + plane.offset))
        .sequence;
}

Sent ShmTransport::put(const std::shared_ptr<Buffer>& buffer, std::span<const Put> puts, Deadline deadline) {
    Sent sent;
    while (!puts.empty()) {
        // Room is asked for first, so that a server that does not read leaves nothing half queued.
        if (auto room = target_.connection->wait_writable(deadline); !room) {
            sent.error = std::move(room).error();
            return sent;
        }
        const auto group = puts.first(std::min(puts.size(), puts_per_send));
        puts = puts.subspan(group.size());
        for (std::size_t i = 0; i < group.size(); ++i) {
            const bool last = i + 1 == group.size();
            const unsigned sequence = queue(*buffer, target_.window, group[i], last);
            if (!sent.awaits_completion && i == 0) sent.first = sequence;
            sent.last = sequence;
        }
        sent.awaits_completion = true;
        xcb_flush(target_.connection->xcb());
    }
    if (auto ok = target_.connection->check(); !ok) sent.error = std::move(ok).error();
    return sent;
}

std::optional<std::uint32_t> ShmTransport::completed(const xcb_generic_event_t& event) const noexcept {
    // Compared whole: the bit 0x80 marks an event that another client made up.
    if (event.response_type != shm_.completion_event) return std::nullopt;
    const auto& e = reinterpret_cast<const xcb_shm_completion_event_t&>(event);
    if (e.shmseg != segment_) return std::nullopt;
    return event.full_sequence;
}

Result<void> ShmTransport::attach_fd(UniqueFd fd, Deadline deadline) {
    auto* xcb = target_.connection->xcb();
    // Read-only: the server has no business writing here. libxcb closes the fd when it is sent.
    const auto cookie = xcb_shm_attach_fd_checked(xcb, segment_, fd.release(), 1);
    auto ok = target_.connection->confirm(cookie, "attaching the frames' memfd to the X server (ShmAttachFd)",
                                          deadline);
    attached_ = ok.ok();
    return ok;
}

Result<void> ShmTransport::attach_sysv(int id, Deadline deadline) {
    const auto cookie =
        xcb_shm_attach_checked(target_.connection->xcb(), segment_, static_cast<std::uint32_t>(id), 1);
    auto ok = target_.connection->confirm(
        cookie, fmt::format("attaching SysV segment {} to the X server (ShmAttach)", id).c_str(), deadline);
    attached_ = ok.ok();
    return ok;
}

/// What the server finds in the buffer's first pixel: put into a pixmap of one pixel and asked back.
Result<std::uint32_t> ShmTransport::server_pixel(const Buffer& buffer, Deadline deadline) {
    auto* xcb = target_.connection->xcb();
    const xcb_pixmap_t pixmap = xcb_generate_id(xcb);
    xcb_create_pixmap(xcb, target_.depth, pixmap, target_.window, 1, 1);
    queue(buffer, pixmap, {{0, 0, 1, 1}, 0, 0}, false);
    const auto cookie = xcb_get_image(xcb, XCB_IMAGE_FORMAT_Z_PIXMAP, pixmap, 0, 0, 1, 1, ~0U);
    xcb_free_pixmap(xcb, pixmap);
    auto image = target_.connection->reply<xcb_get_image_reply_t>(
        cookie, "reading a pixel back from the X server", deadline);
    if (!image) return std::move(image).error();
    std::uint32_t value = 0;
    const auto length = static_cast<std::size_t>(xcb_get_image_data_length(image->get()));
    std::memcpy(&value, xcb_get_image_data(image->get()), std::min(length, target_.bits_per_pixel / 8UL));
    return value;
}

// An id or an fd can be accepted and yet be other memory (a forwarded connection, another IPC namespace
// with the same id), so the server's word is checked with two values that cannot both be there by chance.
Result<void> ShmTransport::prove(const std::shared_ptr<Buffer>& buffer, Deadline deadline) {
    const auto seed = static_cast<std::uint32_t>(std::chrono::steady_clock::now().time_since_epoch().count());
    const std::uint32_t visible = target_.depth >= 32 ? ~0U : (1U << target_.depth) - 1;
    for (const std::uint32_t marker : {seed, ~seed}) {
        auto mapping = buffer->map(Access::write, deadline);
        if (!mapping) return std::move(mapping).error();
        std::memcpy(mapping->row(0, 0).data(), &marker, target_.bits_per_pixel / 8UL);
        if (auto ended = mapping->end(); !ended) return ended;
        auto seen = server_pixel(*buffer, deadline);
        if (!seen) return std::move(seen).error();
        if (((*seen ^ marker) & visible) != 0)
            return make_error(
                Code::unsupported, "sharing memory with the X server",
                "it attached the segment but sees other bytes in it; it runs on another machine or in "
                "another IPC namespace");
    }
    return {};
}

Result<void> fits_wire(const Pool& pool, const Target& target) {
    const auto& layout = pool.layout();
    const std::uint32_t pixels = layout.plane(0).stride / (target.bits_per_pixel / 8U);
    if (pool.memory()->size() > std::numeric_limits<std::uint32_t>::max() ||
        pixels > std::numeric_limits<std::uint16_t>::max())
        return make_error(
            Code::limit, "sharing memory with the X server",
            "MIT-SHM counts offsets in 32 bits and rows in 65535 pixels; use smaller or fewer frames");
    return {};
}

/// Attached and proved, or the reason.
template<class Attach>
Result<std::unique_ptr<Transport>> finish(std::unique_ptr<ShmTransport> transport, const Pool& pool,
                                          Attach attach, Deadline deadline) {
    if (auto ok = attach(*transport); !ok) return std::move(ok).error();
    if (auto ok = transport->prove(pool.buffer(0), deadline); !ok) return std::move(ok).error();
    return std::unique_ptr<Transport>(std::move(transport));
}

} // namespace

Result<ShmSupport> query_shm(Connection& connection, Deadline deadline) {
    auto* xcb = connection.xcb();
    constexpr const char* what = "asking the X server for MIT-SHM";
    // libxcb waits without limit for an extension's opcode unless the answer is already there.
    xcb_prefetch_extension_data(xcb, &xcb_shm_id);
    if (auto ok = connection.roundtrip(deadline); !ok) return std::move(ok).error();
    const auto* extension = xcb_get_extension_data(xcb, &xcb_shm_id);
    if (!extension) {
        if (auto ok = connection.check(); !ok) return std::move(ok).error();
    }
    if (!extension || !extension->present)
        return make_error(Code::unsupported, what, "this server does not have the extension");
    auto version =
        connection.reply<xcb_shm_query_version_reply_t>(xcb_shm_query_version(xcb), what, deadline);
    if (!version) return std::move(version).error();
    const auto major = (*version)->major_version, minor = (*version)->minor_version;
    return ShmSupport{extension->major_opcode,
                      static_cast<std::uint8_t>(extension->first_event + XCB_SHM_COMPLETION),
                      major > 1 || (major == 1 && minor >= 2), major, minor};
}

Result<std::unique_ptr<Transport>> make_shm_fd(const Target& target, const ShmSupport& shm, const Pool& pool,
                                               Deadline deadline) {
    if (!shm.takes_fds)
        return make_error(
            Code::unsupported, "attaching a memfd to the X server",
            fmt::format("it has MIT-SHM {}.{}; passing fds came with 1.2", shm.major, shm.minor));
    if (auto ok = fits_wire(pool, target); !ok) return std::move(ok).error();
    auto handle = pool.buffer(0)->export_memfd();
    if (!handle) return std::move(handle).error();
    // An empty handle's fd would make libxcb wait for ever, so it is copied and checked here.
    UniqueFd fd(fcntl(handle->fd.get(), F_DUPFD_CLOEXEC, 0));
    if (!fd) return error_from_errno(errno, "duplicating the frames' memfd for the X server");
    return finish(
        std::make_unique<ShmTransport>(target, shm, Mechanism::mit_shm_fd), pool,
        [&](ShmTransport& t) { return t.attach_fd(std::move(fd), deadline); }, deadline);
}

Result<std::unique_ptr<Transport>> make_shm_sysv(const Target& target, const ShmSupport& shm,
                                                 const Pool& pool, Deadline deadline) {
    if (auto ok = fits_wire(pool, target); !ok) return std::move(ok).error();
    auto handle = pool.buffer(0)->export_sysv();
    if (!handle) return std::move(handle).error();
    return finish(
        std::make_unique<ShmTransport>(target, shm, Mechanism::mit_shm_sysv), pool,
        [&](ShmTransport& t) { return t.attach_sysv(handle->shmid, deadline); }, deadline);
}

} // namespace share::x11
