// SPDX-License-Identifier: MIT
#include "camera_state.hpp"

#include <poll.h>

#include <algorithm>
#include <cerrno>

#include <fmt/format.h>

#include <share/import.hpp>
#include <share/v4l2/buffers.hpp>

#include "ioctl.hpp"
#include "try_format.hpp"

namespace share::v4l2 {
namespace {

/// How often a buffer that a consumer on another thread still reads is looked at again.
constexpr int look_again_ms = 10;

Result<StreamFormat> negotiate(Device& device, const CameraOptions& options) {
    const auto operation = fmt::format("agreeing on a format with the camera {}", device.info().path);
    std::string reasons;
    for (const auto wanted : options.formats) {
        for (const auto code : codes_of(wanted)) {
            if (!device.offers(Side::capture, code)) continue;
            auto format = device.set_format(Side::capture, {code, options.width, options.height, false});
            if (format) return format;
            if (format.error().code == Code::disconnected || format.error().code == Code::busy) return format;
            reasons += (reasons.empty() ? "" : "; ") + format.error().text();
        }
    }
    if (!reasons.empty()) return make_error(Code::unsupported, operation, reasons);
    std::string wanted;
    for (const auto format : options.formats)
        wanted += (wanted.empty() ? "" : " ") + fourcc_text(format);
    return make_error(Code::unsupported, operation, fmt::format("it offers none of: {}", wanted));
}

Result<std::vector<std::shared_ptr<Buffer>>> drivers_buffers(Camera::State& state, std::uint32_t count) {
    std::vector<std::shared_ptr<Buffer>> buffers;
    for (std::uint32_t i = 0; i < count; ++i) {
        std::vector<std::shared_ptr<Memory>> memories;
        for (std::uint32_t m = 0; m < state.format.sizes.size(); ++m) {
            auto fd = state.queue.export_memory(i, m);
            if (!fd) return std::move(fd).error();
            ImportRules rules;
            rules.min_size = state.format.sizes[m];
            rules.accept_memfd = false;
            auto memory = import_fd(*std::move(fd), rules);
            if (!memory) return std::move(memory).error();
            memories.push_back(*std::move(memory));
        }
        auto buffer = memories.size() == 1 ? Buffer::create(memories[0], 0, *state.format.layout)
                                           : Buffer::create(memories, *state.format.layout);
        if (!buffer) return std::move(buffer).error();
        buffers.push_back(*std::move(buffer));
    }
    return buffers;
}

/// Room for at least two, or the device has nothing to write while we look at one.
Result<std::uint32_t> room(Camera::State& state, Backing backing, std::uint32_t count) {
    auto given = state.queue.request(backing, count, state.format.sizes.size());
    if (given && *given < 2)
        return make_error(Code::limit, "asking " + state.queue.text() + " for buffers",
                          fmt::format("the driver gives {}; a stream needs two", *given));
    return given;
}

Result<void> try_heap(Camera::State& state, Heap& heap, std::uint32_t count) {
    auto given = room(state, Backing::dmabuf, count);
    if (!given) return std::move(given).error();
    auto buffers = make_buffers(heap, state.format, std::min(*given, count), "camera frames");
    if (!buffers) return std::move(buffers).error();
    return state.use_buffers(Backing::dmabuf, *std::move(buffers));
}

Result<void> try_drivers(Camera::State& state, std::uint32_t count) {
    auto given = room(state, Backing::driver, count);
    if (!given) return std::move(given).error();
    auto buffers = drivers_buffers(state, *given);
    if (!buffers) return std::move(buffers).error();
    return state.use_buffers(Backing::driver, *std::move(buffers));
}

std::vector<std::string> heap_names(const HeapTable& heaps, const CameraOptions& options) {
    if (!options.heap.empty()) return {options.heap};
    std::vector<std::string> names{"udmabuf"};
    for (const auto& entry : heaps.entries())
        if (entry.name.starts_with("dma-heap:")) names.push_back(entry.name);
    return names;
}

Result<void> get_memory(Camera::State& state, const HeapTable& heaps, const CameraOptions& options) {
    const auto refuse = [&](const std::string& name, const Error& error) {
        state.drop_buffers();
        state.notes.push_back({name, "not taken: " + error.text()});
        return error.code == Code::disconnected;
    };
    if (options.memory != FrameMemory::drivers)
        for (const auto& name : heap_names(heaps, options)) {
            state.memory = name;
            auto heap = heaps.find(name);
            auto taken = heap ? try_heap(state, **heap, options.buffers) : Result<void>(heap.error());
            if (taken) return {};
            if (refuse(name, taken.error())) return taken;
        }
    if (options.memory != FrameMemory::ours) {
        state.memory = "driver";
        auto taken = try_drivers(state, options.buffers);
        if (taken) return {};
        if (refuse(state.memory, taken.error())) return taken;
    }
    std::string reasons;
    for (const auto& note : state.notes)
        reasons += fmt::format("{}{} {}", reasons.empty() ? "" : "; ", note.about, note.text);
    return make_error(
        Code::unsupported, fmt::format("finding memory for {}", state.who()),
        reasons + "; a device that needs contiguous memory takes a dma-heap of that kind, or has its own");
}

std::string opening(const Device& device) {
    return fmt::format("opening the camera {}", device.info().path);
}

Result<void> check_device(const Device& device) {
    if (!device.info().captures)
        return make_error(Code::unsupported, opening(device),
                          fmt::format("{} '{}' captures no video", device.info().driver, device.info().card));
    if (!device.info().streams)
        return make_error(Code::unsupported, opening(device),
                          "it can only be read(), which copies; it has no buffer queue");
    return {};
}

Result<void> check_count(const Device& device, std::size_t buffers) {
    if (buffers < 2 || buffers > 32)
        return make_error(Code::invalid_argument, opening(device), "a stream has 2 to 32 buffers");
    return {};
}

Result<void> check_options(const Device& device, const CameraOptions& options) {
    if (auto camera = check_device(device); !camera) return camera;
    if (options.formats.empty())
        return make_error(Code::invalid_argument, opening(device), "no format is named");
    return check_count(device, options.buffers);
}

bool same_rows(const Layout& a, const Layout& b) {
    return a.width() == b.width() && a.height() == b.height() && a.format() == b.format() &&
           std::ranges::equal(a.planes(), b.planes());
}

bool suits(const StreamFormat& format, const Layout& layout) {
    return format.layout && same_rows(*format.layout, layout) && format.sizes[0] <= layout.size();
}

std::string other_planes(const StreamFormat& format, const Layout& layout) {
    return fmt::format("the driver's planes or its size of {} bytes are not those of the buffers, {} bytes",
                       format.sizes[0], layout.size());
}

/// Asked without setting anything: whoever is refused leaves the queue as it was.
Result<StreamFormat> would_set(const Device& device, const WantedFormat& wanted) {
    auto answer = try_format(device, Side::capture, wanted);
    if (!answer) return std::move(answer).error();
    if (answer->code != wanted.code)
        return make_error(
            Code::unsupported, opening(device),
            fmt::format("it gives {} for {}", fourcc_text(answer->code), fourcc_text(wanted.code)));
    return check_answer(*answer);
}

/// Has the driver lay its pictures out as these Buffers are.
Result<StreamFormat> format_of(Device& device, std::span<const std::shared_ptr<Buffer>> buffers) {
    const Layout& layout = buffers.front()->layout();
    for (const auto& buffer : buffers)
        if (!same_rows(buffer->layout(), layout) || !buffer->layout().row_addressable() ||
            !buffer->planes_share_memory())
            return make_error(Code::invalid_argument, opening(device),
                              "the buffers of a stream have one layout in rows, each in one memory");
    std::string reasons;
    for (const auto code : codes_of(layout.format())) {
        if (find_pair(code)->memories != 1 || !device.offers(Side::capture, code)) continue;
        const WantedFormat wanted{code, layout.width(), layout.height(), true, layout.plane(0).stride};
        auto format = would_set(device, wanted);
        // Some drivers cannot be asked.
        if ((format && suits(*format, layout)) || (!format && format.error().os_errno == ENOTTY))
            format = device.set_format(Side::capture, wanted);
        if (format && suits(*format, layout)) return format;
        if (!format && (format.error().code == Code::disconnected || format.error().code == Code::busy))
            return format;
        reasons += reasons.empty() ? "" : "; ";
        reasons += format ? other_planes(*format, layout) : format.error().text();
    }
    return make_error(Code::unsupported, opening(device),
                      reasons.empty() ? fmt::format("it offers no {}", fourcc_text(layout.format()))
                                      : reasons);
}

/// What the device made of it, where that is not what was asked for.
Result<std::optional<Ledger::Note>> set_rate(Device& device, std::uint32_t wanted) {
    if (wanted == 0) return std::optional<Ledger::Note>();
    auto rate = device.set_rate(Side::capture, wanted, 1);
    if (!rate) return std::move(rate).error();
    if (*rate && **rate >= wanted * 0.99 && **rate <= wanted * 1.01) return std::optional<Ledger::Note>();
    return std::optional(
        Ledger::Note{"rate", *rate ? fmt::format("{} frames a second instead of {}", **rate, wanted)
                                   : std::string("the device has no such setting")});
}

} // namespace

// Frame

struct Frame::Lease {
    std::shared_ptr<Camera::State> state;
    std::shared_ptr<Buffer> buffer;
    std::uint32_t index;

    Lease(std::shared_ptr<Camera::State> s, std::uint32_t i)
        : state(std::move(s)), buffer(state->buffers[i]), index(i) {}
    Lease(const Lease&) = delete;
    Lease& operator=(const Lease&) = delete;
    ~Lease() { state->give_back(index); }
};

Frame::Frame() noexcept = default;
Frame::Frame(Frame&&) noexcept = default;
Frame& Frame::operator=(Frame&&) noexcept = default;
Frame::~Frame() = default;

const std::shared_ptr<Buffer>& Frame::buffer() const noexcept {
    assert(lease_);
    return lease_->buffer;
}

Step Frame::step() const {
    assert(lease_);
    const auto& state = *lease_->state;
    return {
        "capture",
        Mechanism::device,
        By::us,
        0,
        0,
        fmt::format("{} wrote frame {} into {}", state.device.info().driver, sequence_,
                    state.backing == Backing::dmabuf ? "our " + state.memory + " memory" : "its own memory")};
}

// Camera

Camera::Camera(std::shared_ptr<State> state) noexcept : state_(std::move(state)) {}

Camera::~Camera() {
    state_->open = false;
    (void)state_->stop();
    state_->queue.free(); // others may have the device now
}

Result<std::unique_ptr<Camera>> Camera::open(Device device, const HeapTable& heaps,
                                             const CameraOptions& options) {
    if (auto sane = check_options(device, options); !sane) return std::move(sane).error();
    auto format = negotiate(device, options);
    if (!format) return std::move(format).error();
    auto rate = set_rate(device, options.rate);
    if (!rate) return std::move(rate).error();
    auto state = std::make_shared<State>(std::move(device), *std::move(format));
    if (*rate) state->notes.push_back(**std::move(rate));
    if (auto memory = get_memory(*state, heaps, options); !memory) return std::move(memory).error();
    return std::unique_ptr<Camera>(new Camera(std::move(state)));
}

Result<std::unique_ptr<Camera>> Camera::open(Device device, std::span<const std::shared_ptr<Buffer>> buffers,
                                             const CameraOptions& options) {
    if (auto camera = check_device(device); !camera) return std::move(camera).error();
    if (auto count = check_count(device, buffers.size()); !count) return std::move(count).error();
    auto format = format_of(device, buffers);
    if (!format) return std::move(format).error();
    auto rate = set_rate(device, options.rate);
    if (!rate) return std::move(rate).error();
    auto state = std::make_shared<State>(std::move(device), *std::move(format));
    if (*rate) state->notes.push_back(**std::move(rate));
    const auto wanted = static_cast<std::uint32_t>(buffers.size());
    auto given = room(*state, Backing::dmabuf, wanted);
    if (!given) return std::move(given).error();
    state->memory = buffers.front()->memory()->heap();
    auto taken =
        state->use_buffers(Backing::dmabuf, {buffers.begin(), buffers.begin() + std::min(*given, wanted)});
    if (!taken) {
        state->drop_buffers();
        return std::move(taken).error();
    }
    return std::unique_ptr<Camera>(new Camera(std::move(state)));
}

const DeviceInfo& Camera::info() const noexcept {
    return state_->device.info();
}
const StreamFormat& Camera::format() const noexcept {
    return state_->format;
}
const std::string& Camera::memory() const noexcept {
    return state_->memory;
}
const std::vector<Ledger::Note>& Camera::notes() const noexcept {
    return state_->notes;
}
const std::vector<std::shared_ptr<Buffer>>& Camera::buffers() const noexcept {
    return state_->buffers;
}
int Camera::fd() const noexcept {
    return state_->device.fd();
}
Device& Camera::device() noexcept {
    return state_->device;
}
const Camera::Totals& Camera::totals() const noexcept {
    return state_->totals;
}
std::size_t Camera::queued() const noexcept {
    return state_->queued();
}

Result<void> Camera::start() {
    auto& me = *state_;
    if (me.queue.streaming()) return {};
    me.queue_free_slots();
    if (me.failure) return *std::exchange(me.failure, std::nullopt);
    return me.queue.stream(true);
}

Result<void> Camera::stop() {
    return state_->stop();
}

namespace {

Error all_held(const Camera::State& state) {
    std::string holder = "the program";
    for (const auto& slot : state.slots)
        if (!slot.reading)
            if (auto probe = slot.buffer->attach(Access::write, state.who(), Deadline::none()); !probe)
                holder = probe.error().detail;
    return make_error(
        Code::busy, "waiting for a frame of " + state.who(),
        fmt::format("all {} buffers are in use ({}); give a Frame back", state.slots.size(), holder));
}

/// Sleeps until something may have changed.
Result<void> wait_for_change(const Camera::State& state, Deadline deadline) {
    std::vector<int> fences;
    bool held = false;
    for (const auto& slot : state.slots) {
        if (slot.fence.fd() >= 0) fences.push_back(slot.fence.fd());
        held = held || (!slot.writing && !slot.reading);
    }
    const auto operation = "waiting for a frame of " + state.who();
    const int longest = held ? look_again_ms : deadline.remaining_ms();
    // An empty queue makes poll report an error at once.
    const int fd = state.queued() > 0 ? state.device.fd() : -1;
    auto ready = wait_ready(fd, POLLIN, fences, deadline, longest, operation);
    if (!ready && ready.error().code == Code::timed_out && fd < 0) return all_held(state);
    if (!ready) return std::move(ready).error();
    if (!ready->error || ready->data) return {};
    // What it is, the device itself says best.
    if (auto now = state.device.format(Side::capture); !now) return std::move(now).error();
    return make_error(Code::io, operation, "the driver reports an error on its queue; stop and start again");
}

/// Bytes that a whole picture has at least in memory `m`.
std::uint64_t least_bytes(const Layout& layout, std::size_t memories, std::size_t m) {
    if (memories > 1) return layout.plane_bytes(m);
    std::uint64_t end = 0;
    for (std::size_t i = 0; i < layout.plane_count(); ++i)
        end = std::max(end, layout.plane(i).offset + layout.plane_bytes(i));
    return end;
}

bool whole(const Camera::State& state, const Dequeued& done) {
    for (std::size_t m = 0; m < done.memories; ++m)
        if (done.bytes[m] < least_bytes(*state.format.layout, done.memories, m)) return false;
    return true;
}

} // namespace

Result<Frame> Camera::take(const Dequeued& done) {
    auto& me = *state_;
    const auto operation = "taking a frame of " + me.who();
    if (done.index >= me.slots.size() || !me.slots[done.index].writing)
        return make_error(Code::io, operation,
                          fmt::format("the driver gives buffer {}, which it has not", done.index));
    auto& slot = me.slots[done.index];
    for (std::size_t m = 0; m < done.memories; ++m)
        if (done.data_offset[m] != 0) {
            slot.writing.release();
            return make_error(
                Code::unsupported, operation,
                fmt::format("its pixels begin {} bytes late in the buffer", done.data_offset[m]));
        }
    auto reading = std::exchange(slot.writing, {}); // the driver has it no more, whatever comes
    if (auto handed = reading.hand_over(fmt::format("frame {}", done.sequence)); !handed)
        return std::move(handed).error();
    slot.reading = std::move(reading);
    Frame frame;
    frame.lease_ = std::make_unique<Frame::Lease>(state_, done.index);
    frame.index_ = done.index;
    frame.sequence_ = done.sequence;
    // The counter wraps; and a driver that comes late may give a number twice (vivid does).
    const std::uint32_t step = me.last_sequence ? done.sequence - *me.last_sequence : 1;
    frame.lost_ = step == 0 ? 0 : step - 1;
    frame.timestamp_ns_ = done.timestamp_ns;
    frame.corrupt_ = done.error || !whole(me, done);
    me.last_sequence = done.sequence;
    ++me.totals.frames;
    me.totals.lost += frame.lost_;
    me.totals.corrupt += frame.corrupt_ ? 1 : 0;
    return frame;
}

Result<Frame> Camera::next(Deadline deadline) {
    auto& me = *state_;
    if (auto started = start(); !started) return std::move(started).error();
    for (;;) {
        me.queue_free_slots();
        if (me.failure) return *std::exchange(me.failure, std::nullopt);
        auto done = me.queue.dequeue();
        if (!done) return std::move(done).error();
        if (*done) return take(**done);
        const bool all_lent = std::all_of(me.slots.begin(), me.slots.end(), [](const State::Slot& slot) {
            return static_cast<bool>(slot.reading);
        });
        if (all_lent) return all_held(me);
        if (auto waited = wait_for_change(me, deadline); !waited) return std::move(waited).error();
    }
}

} // namespace share::v4l2
