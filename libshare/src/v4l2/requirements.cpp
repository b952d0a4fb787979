// SPDX-License-Identifier: MIT
#include <share/v4l2/requirements.hpp>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include <share/buffer.hpp>
#include <share/handle.hpp>
#include <share/measure.hpp>

#include "queue.hpp"
#include "try_format.hpp"

namespace share::v4l2 {
namespace {

constexpr std::uint32_t usual = 256, strongest = 4096;

/// One format that the queue offers, and what the driver makes of it at our size.
struct Offered {
    FormatPair pair;
    std::string refusal;
    Answer answer;
    std::uint32_t row = 0; ///< bytes of pixels in the first plane
};

std::uint32_t row_bytes(Fourcc format, std::uint32_t width) {
    const FormatPlane& plane = find_format(format)->planes[0];
    return (width + plane.block_width - 1) / plane.block_width * plane.block_bytes;
}

using MakeMemory = std::function<Result<std::shared_ptr<Memory>>(std::uint64_t bytes)>;

/// A buffer of ours to be queued. What cannot be made says nothing about the driver.
struct Sample {
    std::shared_ptr<Buffer> buffer;
    DmabufHandle handle;
};

class Prober {
public:
    Prober(const Device& device, Side side, const HeapTable& heaps, const RequirementsOptions& options)
        : device_(device), side_(side), heaps_(heaps), options_(options) {}

    Result<Requirements> run();

private:
    ProbeKey key() const;
    Result<Requirements> measure_all();
    std::string operation() const {
        return fmt::format("measuring what the {} queue of {} ({}) takes", to_string(side_),
                           device_.info().driver, device_.info().path);
    }
    std::string how() const { return fmt::format("VIDIOC_TRY_FMT of {}", device_.info().driver); }
    Result<void> choose_size();
    Result<void> ask_formats();
    const Offered* reference() const;
    Result<Answer> ask(const Offered& offered, std::uint32_t stride) const;
    void measure_strides(const Offered& by);
    void weakest_stride(const Offered& by);
    void own_stride(const Offered& by);
    void measure_size(const Offered& by);
    bool lends_its_own(BufferQueue& queue) const;
    void measure_memory();
    void try_memory(BufferQueue& queue, const StreamFormat& format, const Sample& scattered);
    Result<void> check_takes_ours(BufferQueue& queue, bool& others);
    FormatChoice choice_of(const Offered& offered) const;

    const Device& device_;
    Side side_;
    const HeapTable& heaps_;
    const RequirementsOptions& options_;
    std::uint32_t width_ = 0, height_ = 0;
    std::vector<Offered> offered_;
    std::optional<std::uint32_t> own_stride_; ///< of a driver that takes no wishes
    bool incomplete_ = false;                 ///< a trial did not happen that may happen the next time
    Requirements party_;
};

Result<void> Prober::choose_size() {
    width_ = options_.width;
    height_ = options_.height;
    if (width_ != 0 && height_ != 0) return {};
    auto now = device_.format(side_);
    if (!now) return std::move(now).error();
    width_ = now->width;
    height_ = now->height;
    return {};
}

Result<void> Prober::ask_formats() {
    auto codes = device_.codes(side_);
    if (!codes) return std::move(codes).error();
    for (const CodeInfo& code : *codes) {
        const FormatPair* pair = find_pair(code.code);
        if (!pair) continue; // compressed, or nothing that others could name
        Offered offered{*pair, {}, {}, row_bytes(pair->format, width_)};
        auto answer = try_format(device_, side_, {code.code, width_, height_, false});
        if (!answer && answer.error().code == Code::disconnected) return std::move(answer).error();
        if (pair->memories != 1)
            offered.refusal = "it wants each plane in a dma-buf of its own";
        else if (!answer)
            offered.refusal = answer.error().text();
        else if (answer->code != code.code)
            offered.refusal = fmt::format("the driver gives {} instead", fourcc_text(answer->code));
        else if (answer->width != width_ || answer->height != height_)
            offered.refusal = fmt::format("the driver makes {}x{} of {}x{}", answer->width, answer->height,
                                          width_, height_);
        else if (auto checked = check_answer(*answer); !checked)
            offered.refusal = checked.error().text();
        if (answer) offered.answer = *answer;
        offered_.push_back(std::move(offered));
    }
    if (offered_.empty())
        return make_error(Code::unsupported, operation(),
                          "it offers compressed data only, which has no layout to agree on");
    return {};
}

const Offered* Prober::reference() const {
    const Offered* first = nullptr;
    for (const Offered& offered : offered_) {
        if (!offered.refusal.empty()) continue;
        if (offered.pair.format == options_.format) return &offered;
        if (!first) first = &offered;
    }
    return options_.format == 0 ? first : nullptr;
}

Result<Answer> Prober::ask(const Offered& offered, std::uint32_t stride) const {
    return try_format(device_, side_, {offered.pair.code, width_, height_, false, stride});
}

void Prober::measure_strides(const Offered& by) {
    // A stride that nothing but a wish can explain.
    const std::uint32_t wish = (by.row + strongest - 1) / strongest * strongest + strongest;
    const auto answer = ask(by, wish);
    if (answer && answer->memory[0].stride == wish)
        weakest_stride(by);
    else
        own_stride(by);
}

void Prober::weakest_stride(const Offered& by) {
    const std::uint32_t block = find_format(by.pair.format)->planes[0].block_bytes;
    std::optional<std::uint32_t> taken;
    std::string refused;
    for (std::uint32_t align = strongest; align >= std::max(std::bit_floor(block), 1U); align /= 2) {
        if (options_.deadline.passed()) break;
        const std::uint32_t rounded = (by.row + align - 1) / align * align;
        const std::uint32_t wish = rounded / align % 2 == 1 ? rounded : rounded + align;
        const auto answer = ask(by, wish);
        if (!answer || answer->memory[0].stride != wish) {
            refused = answer ? fmt::format("of {} it makes {}", wish, answer->memory[0].stride)
                             : answer.error().text();
            break;
        }
        taken = align;
    }
    party_.stride_align = taken.value_or(usual);
    set_known(party_, Need::stride, taken ? ProbeState::good : ProbeState::unprobeable,
              fmt::format("{}, {}: it takes wished strides of {}{}{}", how(), fourcc_text(by.pair.format),
                          party_.stride_align, refused.empty() ? "" : ", ", refused));
    constexpr std::uint32_t huge = 1U << 30;
    const auto most = ask(by, huge);
    if (!most || most->memory[0].stride < by.row) return;
    party_.max_stride = most->memory[0].stride;
    set_known(party_, Need::max_stride, ProbeState::good,
              fmt::format("{}: it makes {} of a wish for {}", how(), most->memory[0].stride, huge));
}

void Prober::own_stride(const Offered& by) {
    const std::uint32_t stride = by.answer.memory[0].stride;
    // The smallest multiple of this that holds the row is the driver's stride; no other alignment leads
    // there.
    const std::uint32_t align = stride & (~stride + 1U);
    own_stride_ = stride;
    party_.max_stride = stride;
    party_.stride_align = align;
    const bool reachable = stride - by.row < align;
    const std::string from = fmt::format("{}: its stride for {} pixels of {} is {}, whatever is wished",
                                         how(), width_, fourcc_text(by.pair.format), stride);
    set_known(party_, Need::stride, reachable ? ProbeState::good : ProbeState::unprobeable,
              reachable ? from : from + ", which no alignment gives");
    set_known(party_, Need::max_stride, ProbeState::good, from);
}

/// What the driver wants behind the last row.
void Prober::measure_size(const Offered& by) {
    auto layout = Layout::linear(width_, height_, by.pair.format, {party_.stride_align, 1, 1, 1, true});
    const std::uint32_t stride = layout ? layout->plane(0).stride : 0;
    auto answer = ask(by, own_stride_ ? 0 : stride);
    if (!layout || !answer) {
        set_known(party_, Need::size, ProbeState::unprobeable,
                  layout ? answer.error().text() : layout.error().text());
        return;
    }
    const std::uint64_t wanted = answer->memory[0].size;
    std::uint32_t align = 1;
    while (align < (1U << 30) && checked_align(layout->size(), align).value_or(0) < wanted)
        align *= 2;
    party_.size_align = align;
    set_known(party_, Need::size, ProbeState::good,
              fmt::format("{}: it wants {} bytes, the rows of {} are {}", how(), wanted,
                          fourcc_text(by.pair.format), layout->size()));
}

Result<std::shared_ptr<Buffer>> buffer_for(const StreamFormat& format, const MakeMemory& make) {
    auto layout = buffer_layout(format);
    if (!layout) return std::move(layout).error();
    std::vector<std::shared_ptr<Memory>> memories;
    for (const auto size : format.compressed() ? std::vector{layout->size()} : format.sizes) {
        auto memory = make(size);
        if (!memory) return std::move(memory).error();
        memories.push_back(*std::move(memory));
    }
    return memories.size() == 1 ? Buffer::create(memories[0], 0, *layout) : Buffer::create(memories, *layout);
}

Result<Sample> sample_for(const StreamFormat& format, const MakeMemory& make) {
    auto buffer = buffer_for(format, make);
    if (!buffer) return std::move(buffer).error();
    auto handle = (*buffer)->export_dmabuf();
    if (!handle) return std::move(handle).error();
    return Sample{*std::move(buffer), *std::move(handle)};
}

/// Empty: taken. Errors: the queue gave no room, so that nothing was tried.
Result<std::string> queue_one(BufferQueue& queue, const StreamFormat& format, const Sample& sample) {
    auto room = queue.request(Backing::dmabuf, 1, format.sizes.size());
    if (!room) return std::move(room).error();
    auto queued = queue.queue(0, &sample.handle, format, {format.sizes[0], 0});
    queue.free(); // takes the buffer back
    return queued ? std::string() : queued.error().text();
}

bool Prober::lends_its_own(BufferQueue& queue) const {
    const auto room = queue.request(Backing::driver, 1, 1);
    const bool lends = room && queue.export_memory(0, 0).ok();
    queue.free();
    return lends;
}

void Prober::measure_memory() {
    const auto unprobeable = [this](const std::string& why) {
        for (const Need need : {Need::handle, Need::contiguity})
            set_known(party_, need, ProbeState::unprobeable, why);
    };
    party_.handles = Exports::dmabuf;
    auto now = device_.format(side_);
    if (!now) return unprobeable(now.error().text());
    if (options_.deadline.passed()) return unprobeable("no time was left");
    BufferQueue queue(device_, side_);
    if (auto room = queue.request(Backing::dmabuf, 1, now->sizes.size()); !room) {
        incomplete_ = true;
        return unprobeable(room.error().text());
    }
    queue.free();
    const auto scattered =
        sample_for(*now, [this](std::uint64_t bytes) { return scattered_memory(heaps_, bytes); });
    if (scattered) return try_memory(queue, *now, *scattered);
    incomplete_ = true;
    unprobeable("scattered memory could not be tried: " + scattered.error().text());
}

void Prober::try_memory(BufferQueue& queue, const StreamFormat& format, const Sample& scattered) {
    const auto note = [this](Need need, ProbeState state, std::string from) {
        set_known(party_, need, state, std::move(from));
    };
    const auto refused = queue_one(queue, format, scattered);
    if (!refused || refused->empty()) {
        const auto state = refused ? ProbeState::good : ProbeState::unprobeable;
        if (!refused) incomplete_ = true;
        const std::string why = refused ? "" : "could not be tried: " + refused.error().text();
        note(Need::handle, state, refused ? "a dma-buf of ours was queued" : why);
        return note(Need::contiguity, state,
                    refused ? "a dma-buf of scattered memory was queued" : "scattered memory " + why);
    }
    party_.contiguous = true;
    std::string others;
    for (const auto& entry : heaps_.entries()) {
        if (!entry.heap || entry.heap->traits().contiguous != Tristate::yes) continue;
        const auto whole = sample_for(
            format, [&](std::uint64_t bytes) { return entry.heap->allocate(bytes, "share probe"); });
        const auto said = whole ? queue_one(queue, format, *whole) : Result<std::string>(whole.error());
        if (said && said->empty()) {
            note(Need::handle, ProbeState::good, "a dma-buf of ours was queued");
            return note(Need::contiguity, ProbeState::good,
                        fmt::format("a dma-buf of {} was queued, one of scattered memory not: {}", entry.name,
                                    *refused));
        }
        if (!said) incomplete_ = true;
        others += fmt::format("; {} {}", entry.name,
                              said ? "neither: " + *said : "could not be tried: " + said.error().text());
    }
    if (others.empty()) others = "; nothing here is contiguous for certain";
    note(Need::contiguity, ProbeState::unprobeable,
         fmt::format("scattered memory was not taken: {}{}{}", *refused, others,
                     lends_its_own(queue) ? ", but the driver lends memory of its own (VIDIOC_EXPBUF)" : ""));
}

FormatChoice Prober::choice_of(const Offered& offered) const {
    FormatChoice choice;
    choice.pair = {offered.pair.format, modifier::linear};
    choice.from = offered.refusal;
    choice.state = offered.refusal.empty() ? ProbeState::unprobeable : ProbeState::bad;
    if (choice.state == ProbeState::bad) return choice;
    choice.from = how() + " takes it; its pixels were not looked at";
    const std::uint32_t stride = offered.answer.memory[0].stride;
    if (own_stride_ && stride != *own_stride_) {
        choice.state = ProbeState::bad;
        choice.from = fmt::format("the driver's stride for it is {}, not {}: measure it by itself", stride,
                                  *own_stride_);
    }
    return choice;
}

ProbeKey Prober::key() const {
    const auto& info = device_.info();
    std::string memory;
    for (const auto& entry : heaps_.entries())
        if (entry.heap) memory += " " + entry.name;
    std::string present; // memory was tried with buffers of it
    if (const auto now = device_.format(side_)) {
        present = fourcc_text(now->code);
        for (const auto size : now->sizes)
            present += fmt::format(" {}", size);
    }
    return {"v4l2", info.driver,
            fmt::format("Linux {}; {}; {}; {} {}x{} {}; now {};{}", kernel_release(), info.card, info.bus,
                        to_string(side_), width_, height_,
                        options_.format != 0 ? fourcc_text(options_.format) : "any", present, memory)};
}

Result<Requirements> Prober::run() {
    if (auto size = choose_size(); !size) return std::move(size).error();
    if (auto codes = device_.codes(side_); !codes) return std::move(codes).error();
    bool taken = false;
    BufferQueue queue(device_, side_);
    if (auto checked = check_takes_ours(queue, taken); !checked) return std::move(checked).error();
    std::optional<Requirements> partial;
    auto party =
        measured_once(taken ? nullptr : options_.cache, key(), options_.party, device_.info().path,
                      options_.deadline, [&]() -> Result<Requirements> {
                          auto measured = measure_all();
                          if (!measured || !incomplete_) return measured;
                          partial = *std::move(measured);
                          return make_error(Code::unavailable, operation(), "not all could be tried");
                      });
    if (partial) return *std::move(partial); // an error is not kept
    return party;
}

/// Who has the queue is asked anew each time: what could not be tried then may be tried now. `others`: have
/// it.
Result<void> Prober::check_takes_ours(BufferQueue& queue, bool& others) {
    if (!device_.info().streams)
        return make_error(
            Code::unsupported, operation(),
            "it takes no memory of others: it has no buffer queue, and is only read or written");
    const auto room = queue.request(Backing::dmabuf, 1, 1);
    if (room) queue.free();
    others = !room && room.error().code == Code::busy;
    if (!room && room.error().os_errno == EINVAL)
        return make_error(Code::unsupported, operation(),
                          "it takes no memory of others; use its own buffers (FrameMemory::drivers)");
    return {};
}

Result<Requirements> Prober::measure_all() {
    if (auto asked = ask_formats(); !asked) return std::move(asked).error();
    const Offered* by = reference();
    if (!by) {
        std::string reasons;
        for (const Offered& offered : offered_)
            reasons += fmt::format("{}{}: {}", reasons.empty() ? "" : "; ", fourcc_text(offered.pair.format),
                                   offered.refusal.empty() ? "not the one asked for" : offered.refusal);
        return make_error(Code::unsupported, operation(), reasons);
    }
    party_.party = options_.party;
    party_.device = device_.info().path;
    party_.min_width = party_.max_width = width_;
    party_.min_height = party_.max_height = height_;
    for (const Need need : {Need::picture, Need::max_picture})
        set_known(party_, need, ProbeState::good, fmt::format("{} takes {}x{}", how(), width_, height_));
    party_.planes_follow = true;
    set_known(party_, Need::planes, ProbeState::good, "V4L2 says one stride and no offset for a memory");
    party_.device_writes = side_ == Side::capture;
    measure_strides(*by);
    measure_size(*by);
    for (const Offered& offered : offered_) {
        FormatChoice choice = choice_of(offered);
        const auto same = std::find_if(party_.formats.begin(), party_.formats.end(),
                                       [&](const FormatChoice& have) { return have.pair == choice.pair; });
        // The same pixels by another code: the better answer counts.
        if (same == party_.formats.end())
            party_.formats.push_back(std::move(choice));
        else if (same->state == ProbeState::bad && choice.state != ProbeState::bad)
            *same = std::move(choice);
    }
    measure_memory();
    return party_;
}

} // namespace

Result<Requirements> requirements_of(const Device& device, Side side, const HeapTable& heaps,
                                     const RequirementsOptions& options) {
    return Prober(device, side, heaps, options).run();
}

} // namespace share::v4l2
