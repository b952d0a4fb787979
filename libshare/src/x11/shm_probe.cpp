// SPDX-License-Identifier: MIT
#include "shm_probe.hpp"

#include <fcntl.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <optional>
#include <utility>

#include <fmt/format.h>
#include <xcb/shm.h>

namespace share::x11 {

namespace {

/// Errors after which nothing more can be asked.
bool ends_all(const Error& error) {
    return error.code == Code::disconnected || error.code == Code::timed_out;
}

/// A second fd, which libxcb closes when it is sent.
Result<UniqueFd> copy_of(int fd) {
    UniqueFd copy(fcntl(fd, F_DUPFD_CLOEXEC, 0));
    if (!copy) return error_from_errno(errno, "duplicating an fd for the X server");
    return copy;
}

/// What may or may not be there: no error shall come of it.
void discard(xcb_connection_t* xcb, xcb_void_cookie_t cookie) {
    xcb_discard_reply(xcb, cookie.sequence);
}

} // namespace

struct ShmProbe::Segment {
    Connection& connection;
    xcb_shm_seg_t id = 0;
    bool attached = false;
    bool late = false;                ///< the server may attach it still
    std::optional<DmabufHandle> keep; ///< while it lives, mappings tell the dma-buf of CPU access
    std::uint64_t base = 0;           ///< where the buffer begins in it

    explicit Segment(Connection& on) : connection(on), id(xcb_generate_id(on.xcb())) {}
    Segment(const Segment&) = delete;
    Segment& operator=(const Segment&) = delete;
    ~Segment() {
        if (!connection.check()) return;
        if (attached) xcb_shm_detach(connection.xcb(), id);
        if (late) discard(connection.xcb(), xcb_shm_detach_checked(connection.xcb(), id));
    }
};

ShmProbe::ShmProbe(Connection& connection, xcb_window_t window, const WindowFormat& format, Deadline deadline)
    : connection_(connection),
      window_(window),
      format_(format),
      deadline_(deadline),
      gc_(xcb_generate_id(connection.xcb())) {
    xcb_create_gc(connection.xcb(), gc_, window, 0, nullptr);
}

ShmProbe::~ShmProbe() {
    if (connection_.check()) xcb_free_gc(connection_.xcb(), gc_);
}

Result<void> ShmProbe::attach(Segment& segment, Buffer& buffer, Exports handle, Use use) {
    // The server has no business writing what it only copies; of a pixmap it wants no less.
    const std::uint8_t read_only = use == Use::put ? 1 : 0;
    auto* xcb = connection_.xcb();
    Result<void> done;
    if (handle == Exports::sysv) {
        auto sysv = buffer.export_sysv();
        if (!sysv) return std::move(sysv).error();
        segment.base = sysv->offset;
        done = connection_.confirm(
            xcb_shm_attach_checked(xcb, segment.id, static_cast<std::uint32_t>(sysv->shmid), read_only),
            "attaching a SysV segment to the X server (ShmAttach)", deadline_);
    } else {
        UniqueFd fd;
        if (handle == Exports::dmabuf) {
            auto dmabuf = buffer.export_dmabuf();
            if (!dmabuf) return std::move(dmabuf).error();
            auto copy = copy_of(dmabuf->fd());
            if (!copy) return std::move(copy).error();
            fd = *std::move(copy);
            segment.keep = *std::move(dmabuf);
        } else {
            auto memfd = buffer.export_memfd();
            if (!memfd) return std::move(memfd).error();
            segment.base = memfd->offset;
            fd = std::move(memfd->fd);
        }
        done = connection_.confirm(xcb_shm_attach_fd_checked(xcb, segment.id, fd.release(), read_only),
                                   "attaching an fd to the X server (ShmAttachFd)", deadline_);
    }
    segment.attached = done.ok();
    segment.late = !done && done.error().code == Code::timed_out;
    return done;
}

/// The last pixel of the picture as the server finds it.
Result<std::uint32_t> ShmProbe::pixel(const Segment& segment, const Layout& layout, Use use) {
    auto* xcb = connection_.xcb();
    const auto& plane = layout.plane(0);
    const auto x = static_cast<std::int16_t>(layout.width() - 1);
    const auto y = static_cast<std::int16_t>(layout.height() - 1);
    const auto offset = static_cast<std::uint32_t>(segment.base + plane.offset);
    const xcb_pixmap_t pixmap = xcb_generate_id(xcb);
    Result<void> made;
    if (use == Use::put) {
        xcb_create_pixmap(xcb, format_.depth, pixmap, window_, 1, 1);
        made = connection_.confirm(
            xcb_shm_put_image_checked(
                xcb, pixmap, gc_, static_cast<std::uint16_t>(plane.stride / (format_.bits_per_pixel / 8U)),
                static_cast<std::uint16_t>(layout.height()), static_cast<std::uint16_t>(x),
                static_cast<std::uint16_t>(y), 1, 1, 0, 0, format_.depth, XCB_IMAGE_FORMAT_Z_PIXMAP, 0,
                segment.id, offset),
            "putting a pixel from shared memory (ShmPutImage)", deadline_);
    } else {
        made = connection_.confirm(xcb_shm_create_pixmap_checked(xcb, pixmap, window_,
                                                                 static_cast<std::uint16_t>(layout.width()),
                                                                 static_cast<std::uint16_t>(layout.height()),
                                                                 format_.depth, segment.id, offset),
                                   "making a pixmap in shared memory (ShmCreatePixmap)", deadline_);
    }
    if (!made && use == Use::pixmap) {
        // There is none to free, or it comes late.
        if (made.error().code == Code::timed_out) discard(xcb, xcb_free_pixmap_checked(xcb, pixmap));
        return std::move(made).error();
    }
    const std::int16_t at_x = use == Use::put ? 0 : x, at_y = use == Use::put ? 0 : y;
    const auto cookie = xcb_get_image(xcb, XCB_IMAGE_FORMAT_Z_PIXMAP, pixmap, at_x, at_y, 1, 1, ~0U);
    xcb_free_pixmap(xcb, pixmap);
    auto image =
        connection_.reply<xcb_get_image_reply_t>(cookie, "reading a pixel back from the X server", deadline_);
    if (!made) return std::move(made).error();
    if (!image) return std::move(image).error();
    std::uint32_t value = 0;
    const auto length = static_cast<std::size_t>(xcb_get_image_data_length(image->get()));
    std::memcpy(&value, xcb_get_image_data(image->get()), std::min(length, format_.bits_per_pixel / 8UL));
    return value;
}

Result<std::string> ShmProbe::sees(const std::shared_ptr<Buffer>& buffer, Exports handle, Use use) {
    const auto& layout = buffer->layout();
    const std::uint32_t pixel_bytes = format_.bits_per_pixel / 8U;
    if (layout.plane(0).stride / pixel_bytes > UINT16_MAX)
        return std::string("MIT-SHM counts 65535 pixels a row");
    Segment segment(connection_);
    if (auto attached = attach(segment, *buffer, handle, use); !attached) {
        if (ends_all(attached.error())) return std::move(attached).error();
        return attached.error().text();
    }
    const auto seed = static_cast<std::uint32_t>(std::chrono::steady_clock::now().time_since_epoch().count());
    const std::uint32_t visible = format_.depth >= 32 ? ~0U : (1U << format_.depth) - 1;
    // Two values that cannot both be there by chance.
    for (const std::uint32_t marker : {seed, ~seed}) {
        auto mapping = buffer->map(Access::write, deadline_);
        if (!mapping) return mapping.error().text();
        auto row = mapping->row(0, layout.height() - 1);
        std::memcpy(row.data() + std::size_t{layout.width() - 1} * pixel_bytes, &marker, pixel_bytes);
        if (auto ended = mapping->end(); !ended) return ended.error().text();
        auto seen = pixel(segment, layout, use);
        if (!seen && ends_all(seen.error())) return std::move(seen).error();
        if (!seen) return seen.error().text();
        if (((*seen ^ marker) & visible) != 0) return std::string("the server reads other bytes than these");
    }
    return std::string();
}

} // namespace share::x11
