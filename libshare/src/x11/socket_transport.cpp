// SPDX-License-Identifier: MIT
#include <algorithm>
#include <array>
#include <vector>

#include <sys/uio.h>
#include <xcb/xcbext.h>

#include "transport.hpp"

namespace share::x11 {

namespace {

constexpr std::size_t rows_per_request = 400; // two iovecs a row and libxcb's own stay below IOV_MAX

/// PutImage through the socket. A request is never larger than what the socket takes without blocking, so
/// the wait between two requests can have a deadline and a server that stalls leaves whole requests behind.
/// That is also below the maximum request length without BIG-REQUESTS, which is therefore not needed.
class SocketTransport final : public Transport {
public:
    explicit SocketTransport(const Target& target) : target_(target) {}
    Mechanism mechanism() const noexcept override { return Mechanism::x_socket; }
    std::uint8_t opcode() const noexcept override { return XCB_PUT_IMAGE; }
    Sent put(const std::shared_ptr<Buffer>& buffer, std::span<const Put> puts, Deadline deadline) override;
    std::optional<std::uint32_t> completed(const xcb_generic_event_t&) const noexcept override {
        return std::nullopt;
    }

private:
    std::size_t request_bytes() const;
    Result<void> put_one(const std::byte* pixels, std::uint32_t stride, const Put& put, Sent& sent,
                         Deadline deadline);
    unsigned send(const std::byte* first, std::uint32_t stride, const Rect& block, std::int16_t x,
                  std::int16_t y);
    Target target_;
    std::vector<iovec> parts_;
};

std::size_t padded(std::size_t bytes, std::size_t pad_bits) {
    const std::size_t pad = pad_bits / 8;
    return (bytes + pad - 1) / pad * pad;
}

std::size_t SocketTransport::request_bytes() const {
    const std::size_t most =
        std::size_t{xcb_get_setup(target_.connection->xcb())->maximum_request_length} * 4;
    return std::min(target_.connection->write_block(), most) - sizeof(xcb_put_image_request_t);
}

// The rows go to writev(2) from where they lie: no copy into a packed block.
unsigned SocketTransport::send(const std::byte* first, std::uint32_t stride, const Rect& block,
                               std::int16_t x, std::int16_t y) {
    static constexpr std::array<char, 8> zeros{};
    static constexpr xcb_protocol_request_t fixed{0, nullptr, XCB_PUT_IMAGE, 1};
    const std::size_t row = static_cast<std::size_t>(block.width) * target_.bits_per_pixel / 8;
    const std::size_t wire_row = padded(row, target_.scanline_pad);
    xcb_put_image_request_t head{};
    head.format = XCB_IMAGE_FORMAT_Z_PIXMAP;
    head.drawable = target_.window;
    head.gc = target_.gc;
    head.width = static_cast<std::uint16_t>(block.width);
    head.height = static_cast<std::uint16_t>(block.height);
    head.dst_x = x;
    head.dst_y = y;
    head.depth = target_.depth;
    // libxcb uses the two entries before the first; the length field is its business.
    parts_.assign(2, iovec{});
    parts_.push_back({&head, sizeof head});
    const std::byte* at = first;
    for (std::int32_t i = 0; i < block.height; ++i, at += stride) {
        parts_.push_back({const_cast<std::byte*>(at), row});
        if (wire_row > row) parts_.push_back({const_cast<char*>(zeros.data()), wire_row - row});
    }
    const auto total = sizeof head + wire_row * static_cast<std::size_t>(block.height);
    if (const auto odd = total % 4; odd != 0) parts_.push_back({const_cast<char*>(zeros.data()), 4 - odd});
    auto request = fixed;
    request.count = parts_.size() - 2;
    return xcb_send_request(target_.connection->xcb(), 0, parts_.data() + 2, &request);
}

Result<void> SocketTransport::put_one(const std::byte* pixels, std::uint32_t stride, const Put& put,
                                      Sent& sent, Deadline deadline) {
    const std::int32_t pixel = target_.bits_per_pixel / 8;
    const auto room = static_cast<std::int32_t>(request_bytes());
    const std::int32_t columns = std::min(put.source.width, room / pixel - 4);
    const auto wire_row =
        static_cast<std::int32_t>(padded(static_cast<std::size_t>(columns * pixel), target_.scanline_pad));
    const std::int32_t rows = std::clamp<std::int32_t>(room / wire_row, 1, rows_per_request);
    for (std::int32_t y = 0; y < put.source.height; y += rows) {
        for (std::int32_t x = 0; x < put.source.width; x += columns) {
            const Rect block{put.source.x + x, put.source.y + y, std::min(columns, put.source.width - x),
                             std::min(rows, put.source.height - y)};
            if (auto ok = target_.connection->flush(deadline); !ok) return ok;
            if (auto ok = target_.connection->wait_writable(deadline); !ok) return ok;
            const std::byte* first = pixels + static_cast<std::size_t>(block.y) * stride +
                                     static_cast<std::size_t>(block.x) * static_cast<std::size_t>(pixel);
            sent.last = send(first, stride, block, static_cast<std::int16_t>(put.x + x),
                             static_cast<std::int16_t>(put.y + y));
            if (sent.first == 0) sent.first = sent.last;
        }
    }
    return {};
}

Sent SocketTransport::put(const std::shared_ptr<Buffer>& buffer, std::span<const Put> puts,
                          Deadline deadline) {
    Sent sent;
    auto mapping = buffer->map(Access::read, deadline);
    if (!mapping) {
        sent.error = std::move(mapping).error();
        return sent;
    }
    for (const auto& put : puts) {
        if (auto ok =
                put_one(mapping->plane(0).data(), buffer->layout().plane(0).stride, put, sent, deadline);
            !ok) {
            sent.error = std::move(ok).error();
            return sent;
        }
    }
    if (auto ok = target_.connection->flush(deadline); !ok) sent.error = std::move(ok).error();
    return sent;
}

} // namespace

std::unique_ptr<Transport> make_socket(const Target& target) {
    return std::make_unique<SocketTransport>(target);
}

} // namespace share::x11
