// SPDX-License-Identifier: MIT
#include <share/v4l2/m2m.hpp>

#include <linux/videodev2.h>
#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <vector>

#include <fmt/format.h>

#include "ioctl.hpp"
#include "queue.hpp"

namespace share::v4l2 {
namespace {

/// One side: its places, and what lies in each.
struct End {
    struct Place {
        std::shared_ptr<Buffer> buffer; ///< the last one that lay here: the driver still has it mapped
        std::optional<DmabufHandle> handle;
        Attachment hold; ///< while the device has it
    };
    End(const Device& device, Side s) : side(s), queue(device, s) {}

    std::size_t queued() const noexcept {
        return static_cast<std::size_t>(std::count_if(
            places.begin(), places.end(), [](const Place& p) { return static_cast<bool>(p.hold); }));
    }
    /// Where this Buffer lay before, else an unused place, else any free one.
    Place* place_for(const Buffer* buffer) {
        Place* best = nullptr;
        for (auto& place : places) {
            if (place.hold) continue;
            if (place.buffer.get() == buffer) return &place;
            if (!best || (best->buffer && !place.buffer)) best = &place;
        }
        return best;
    }

    Side side;
    BufferQueue queue;
    std::optional<StreamFormat> format; ///< that the places were reserved for
    std::vector<Place> places;
    bool told_finished = false;
};

/// Whether a device set up for `wanted` finds its pixels in a buffer of `layout`.
bool same_place(const Layout& layout, const Layout& wanted, bool bytes_only) {
    if (layout.format() != wanted.format() || layout.size() < wanted.size()) return false;
    if (bytes_only) return layout.plane_count() == 1 && layout.plane(0).offset == 0;
    return layout.width() == wanted.width() && layout.height() == wanted.height() &&
           std::ranges::equal(layout.planes(), wanted.planes());
}

Error foreign_buffer(const std::string& operation, const StreamFormat& format, const Layout& layout) {
    return make_error(
        Code::invalid_argument, operation,
        fmt::format(
            "a buffer of {}x{} {}, {} bytes, is not what the queue was set up for: {}x{} {}, {} bytes",
            layout.width(), layout.height(), fourcc_text(layout.format()), layout.size(), format.width,
            format.height, fourcc_text(format.code), format.sizes[0]));
}

} // namespace

struct M2m::Impl {
    explicit Impl(Device d)
        : device(std::move(d)), output(device, Side::output), capture(device, Side::capture) {}
    End& end(Side side) noexcept { return side == Side::output ? output : capture; }
    std::string who() const {
        return fmt::format("the device {} ({})", device.info().driver, device.info().path);
    }
    Result<std::optional<Event>> take_event();
    Result<std::optional<Event>> take_from(End& from);
    Result<std::optional<Event>> take_any();
    Result<void> command(bool stop);

    Device device;
    End output, capture;
};

M2m::M2m(std::unique_ptr<Impl> impl) noexcept : impl_(std::move(impl)) {}

M2m::~M2m() {
    for (const auto side : {Side::output, Side::capture})
        (void)clear(side);
}

Result<std::unique_ptr<M2m>> M2m::open(Device device) {
    if (!device.info().m2m || !device.info().streams)
        return make_error(
            Code::unsupported, fmt::format("opening {} as a converter or codec", device.info().path),
            fmt::format("{} '{}' is no memory-to-memory device", device.info().driver, device.info().card));
    v4l2_event_subscription subscription{};
    subscription.type = V4L2_EVENT_SOURCE_CHANGE;
    // Only decoders have it; a converter's refusal is no error.
    (void)call(device.fd(), VIDIOC_SUBSCRIBE_EVENT, &subscription);
    return std::unique_ptr<M2m>(new M2m(std::make_unique<Impl>(std::move(device))));
}

const DeviceInfo& M2m::info() const noexcept {
    return impl_->device.info();
}
Device& M2m::device() noexcept {
    return impl_->device;
}
int M2m::fd() const noexcept {
    return impl_->device.fd();
}
std::size_t M2m::queued(Side side) const noexcept {
    return impl_->end(side).queued();
}
Result<StreamFormat> M2m::format(Side side) const {
    return impl_->device.format(side);
}
Result<StreamFormat> M2m::set_format(Side side, const WantedFormat& wanted) {
    return impl_->device.set_format(side, wanted);
}

std::optional<Rect> M2m::visible() const {
    v4l2_selection selection{};
    selection.type = V4L2_BUF_TYPE_VIDEO_CAPTURE; // of multi-planar queues too
    selection.target = V4L2_SEL_TGT_COMPOSE;
    if (call(impl_->device.fd(), VIDIOC_G_SELECTION, &selection) != 0) return std::nullopt;
    const auto limit = static_cast<std::uint32_t>(Layout::max_dimension);
    const auto& r = selection.r;
    if (r.left < 0 || r.top < 0 || r.width > limit || r.height > limit) return std::nullopt;
    return Rect{r.left, r.top, static_cast<std::int32_t>(r.width), static_cast<std::int32_t>(r.height)};
}

Result<std::uint32_t> M2m::reserve(Side side, std::uint32_t count) {
    auto& end = impl_->end(side);
    auto now = impl_->device.format(side);
    if (!now) return std::move(now).error();
    auto given = end.queue.request(Backing::dmabuf, count, now->sizes.size());
    if (!given) return given;
    end.places.clear();
    end.places.resize(*given);
    end.format = *std::move(now);
    return given;
}

Result<void> M2m::queue(Side side, const std::shared_ptr<Buffer>& buffer, const Payload& payload) {
    auto& end = impl_->end(side);
    const auto operation = [&] { return "queueing a buffer on the " + end.queue.text(); };
    if (!end.format) return make_error(Code::invalid_argument, operation(), "reserve() places first");
    auto fits = buffer_layout(*end.format);
    if (!fits) return std::move(fits).error();
    const auto& layout = buffer->layout();
    if (!same_place(layout, *fits, end.format->compressed()))
        return foreign_buffer(operation(), *end.format, layout);
    if (end.format->compressed() && side == Side::output &&
        (payload.bytes == 0 || payload.bytes > end.format->sizes[0]))
        return make_error(
            Code::invalid_argument, operation(),
            fmt::format("{} bytes of data, between 1 and {} fit", payload.bytes, end.format->sizes[0]));
    auto* const place = end.place_for(buffer.get());
    if (!place)
        return make_error(Code::busy, operation(),
                          fmt::format("the device has all {} places", end.places.size()));
    auto hold =
        buffer->attach(side == Side::output ? Access::read : Access::write, impl_->who(), Deadline::none());
    if (!hold) return std::move(hold).error();
    if (place->buffer != buffer) {
        auto handle = buffer->export_dmabuf();
        if (!handle) return std::move(handle).error();
        place->handle = *std::move(handle);
        place->buffer = buffer;
    }
    const auto pending = buffer->fence(side == Side::output ? Access::read : Access::write);
    if (!pending || pending->fd() >= 0)
        return make_error(
            Code::busy, operation(),
            "another device still works on it, and V4L2 waits for no fence: wait for Buffer::fence()");
    const auto index = static_cast<std::uint32_t>(place - end.places.data());
    auto queued = end.queue.queue(index, &*place->handle, *end.format, {payload.bytes, payload.timestamp_ns});
    if (!queued) {
        *place = {};
        return queued;
    }
    place->hold = *std::move(hold);
    return {};
}

Result<void> M2m::start(Side side) {
    auto& end = impl_->end(side);
    if (end.queue.streaming()) return {};
    end.told_finished = false;
    return end.queue.stream(true);
}

Result<void> M2m::stop(Side side) {
    auto& end = impl_->end(side);
    auto stopped = end.queue.stream(false);
    for (auto& place : end.places)
        place.hold.release();
    return stopped;
}

Result<void> M2m::clear(Side side) {
    auto& end = impl_->end(side);
    auto stopped = stop(side);
    end.places.clear();
    end.format.reset();
    end.queue.free();
    return stopped;
}

Result<std::optional<M2m::Event>> M2m::Impl::take_event() {
    v4l2_event event{};
    const int why = call(device.fd(), VIDIOC_DQEVENT, &event);
    if (why == ENODEV) return refused(why, "asking " + who() + " for events");
    if (why != 0) return std::optional<Event>(); // ENOENT: there is none
    const bool size = event.type == V4L2_EVENT_SOURCE_CHANGE &&
                      (event.u.src_change.changes & V4L2_EVENT_SRC_CH_RESOLUTION) != 0;
    if (!size) return take_event();
    Event change;
    change.kind = Event::Kind::source_change;
    return std::optional(std::move(change));
}

Result<std::optional<M2m::Event>> M2m::Impl::take_from(End& from) {
    if (!from.queue.streaming()) return std::optional<Event>();
    auto done = from.queue.dequeue();
    if (!done) return std::move(done).error();
    Event event;
    event.side = from.side;
    if (!*done) {
        if (!from.queue.finished() || from.told_finished) return std::optional<Event>();
        from.told_finished = true;
        event.kind = Event::Kind::finished;
        return std::optional(std::move(event));
    }
    const auto& said = **done;
    if (said.index >= from.places.size() || !from.places[said.index].hold)
        return make_error(Code::io, "taking a buffer from the " + from.queue.text(),
                          fmt::format("the driver gives buffer {}, which it has not", said.index));
    auto& place = from.places[said.index];
    place.hold.release();
    event.buffer = place.buffer;
    event.bytes = said.bytes[0];
    event.timestamp_ns = said.timestamp_ns;
    event.sequence = said.sequence;
    event.corrupt = said.error;
    event.last = said.last;
    return std::optional(std::move(event));
}

Result<std::optional<M2m::Event>> M2m::Impl::take_any() {
    if (auto event = take_event(); !event || *event) return event;
    // What was read comes before what was made of it, and `finished` last of all.
    if (auto event = take_from(output); !event || *event) return event;
    return take_from(capture);
}

Result<M2m::Event> M2m::wait(Deadline deadline) {
    auto& me = *impl_;
    const auto operation = "waiting for " + me.who();
    for (;;) {
        auto event = me.take_any();
        if (!event) return std::move(event).error();
        if (*event) return **std::move(event);
        const bool out = me.output.queue.streaming() && me.output.queued() > 0;
        const bool cap = me.capture.queue.streaming() && me.capture.queued() > 0;
        if (!out && !cap)
            return make_error(Code::busy, operation,
                              "no side streams with a buffer queued, so nothing can come");
        auto ready = wait_ready(me.device.fd(), POLLIN | POLLOUT | POLLPRI, {}, deadline,
                                deadline.remaining_ms(), operation);
        if (!ready) return std::move(ready).error();
        if (!ready->error || ready->data || ready->event) continue;
        if (auto now = me.device.format(Side::output); !now) return std::move(now).error();
        return make_error(Code::io, operation,
                          "the driver reports an error on its queues; stop and start again");
    }
}

Result<void> M2m::Impl::command(bool stop) {
    const auto operation = fmt::format("{} {}", stop ? "draining" : "resuming", who());
    const bool decodes = output.format && output.format->compressed();
    const bool encodes = capture.format && capture.format->compressed();
    if (!decodes && !encodes)
        return make_error(Code::unsupported, operation,
                          "neither side is compressed: a converter needs no draining");
    int why = 0;
    if (decodes) {
        v4l2_decoder_cmd command{};
        command.cmd = stop ? V4L2_DEC_CMD_STOP : V4L2_DEC_CMD_START;
        why = call(device.fd(), VIDIOC_DECODER_CMD, &command);
    } else {
        v4l2_encoder_cmd command{};
        command.cmd = stop ? V4L2_ENC_CMD_STOP : V4L2_ENC_CMD_START;
        why = call(device.fd(), VIDIOC_ENCODER_CMD, &command);
    }
    if (why != 0) return refused(why, operation, decodes ? "VIDIOC_DECODER_CMD" : "VIDIOC_ENCODER_CMD");
    if (!stop) capture.told_finished = false;
    return {};
}

Result<void> M2m::drain() {
    return impl_->command(true);
}
Result<void> M2m::resume() {
    return impl_->command(false);
}

Result<M2m::Event> M2m::convert(const std::shared_ptr<Buffer>& from, const std::shared_ptr<Buffer>& to,
                                Deadline deadline) {
    if (auto queued = queue(Side::capture, to); !queued) return std::move(queued).error();
    if (auto queued = queue(Side::output, from); !queued) return std::move(queued).error();
    for (const auto side : {Side::output, Side::capture})
        if (auto started = start(side); !started) return std::move(started).error();
    std::optional<Event> made;
    bool read = false;
    while (!made || !read) {
        auto event = wait(deadline);
        if (!event) return event;
        if (event->kind != Event::Kind::buffer) continue;
        if (event->side == Side::output)
            read = true;
        else
            made = *std::move(event);
    }
    return *std::move(made);
}

} // namespace share::v4l2
