// SPDX-License-Identifier: MIT
#include <share/kms/requirements.hpp>

#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <system_error>
#include <utility>

#include <fmt/format.h>

#include <share/kms/scan_out.hpp>
#include <share/measure.hpp>

#include "drm_ptr.hpp"

namespace share::kms {
namespace {

constexpr std::uint64_t trial_bytes = 64 * 4096;

bool in_rows(const FormatModifier& pair) noexcept {
    return pair.modifier == modifier::linear || pair.modifier == modifier::none;
}

/// For a list of many formats: without all that the device could show instead.
std::string short_reason(const char* what, const Error& error) {
    if (error.os_errno == 0) return fmt::format("{}: {}", what, error.detail);
    return fmt::format("{}: {}", what, std::generic_category().message(error.os_errno));
}

bool contiguous(const Heap& heap) noexcept {
    return heap.traits().contiguous == Tristate::yes;
}

/// Buffers for trials. One memory serves all layouts where dma-bufs are made of its ranges.
class Bench {
public:
    explicit Bench(Heap& heap) : heap_(heap) {}

    Result<std::shared_ptr<Buffer>> buffer(const Layout& layout) {
        const bool ranges = heap_.traits().kind != MemoryKind::dmabuf;
        if (!ranges || !memory_ || memory_->size() < layout.size()) {
            memory_.reset();
            auto memory = heap_.allocate(layout.size(), "share probe");
            if (!memory) return std::move(memory).error();
            memory_ = *std::move(memory);
        }
        return Buffer::create(memory_, 0, layout);
    }

private:
    Heap& heap_;
    std::shared_ptr<Memory> memory_;
};

class Prober {
public:
    Prober(std::shared_ptr<Device> device, const HeapTable& heaps, const RequirementsOptions& options)
        : device_(std::move(device)), heaps_(heaps), options_(options) {}

    Result<Requirements> run();

private:
    ProbeKey key() const;
    Result<Requirements> measure_all();
    std::string who() const { return fmt::format("{} ({})", device_->node(), device_->driver()); }
    void open_display();
    void choose_memory();
    Result<std::string> import_of(const Result<std::shared_ptr<Memory>>& memory);
    void judge_contiguity(const Result<std::string>& scattered, const std::string& contiguous_heap);
    FormatChoice choice_of(const FormatModifier& pair);
    Result<std::string> attempt(const Layout& layout, bool commit);
    Result<void> measure(FormatModifier pair);
    void measure_smallest(FormatModifier pair);
    void fill_untried(const std::string& why);
    void untried(const std::string& why);

    std::shared_ptr<Device> device_;
    const HeapTable& heaps_;
    const RequirementsOptions& options_;
    Requirements party_;
    std::unique_ptr<ScanOut> display_;
    std::string no_display_; ///< why no commit can be tested
    std::optional<Bench> bench_;
    std::string no_memory_;
    bool incomplete_ = false;              ///< a trial did not happen that may happen the next time
    std::uint32_t width_ = 0, height_ = 0; ///< of trial pictures that a commit may show
};

void Prober::open_display() {
    auto display = ScanOut::create(device_, {.connector = options_.connector});
    const auto& caps = device_->capabilities();
    if (display) {
        display_ = *std::move(display);
        width_ = display_->mode().width;
        height_ = display_->mode().height;
    } else {
        no_display_ = display.error().text();
        width_ = std::max(caps.min_width, 64U);
        height_ = std::max(caps.min_height, 64U);
    }
}

/// Empty: taken. Errors: there was nothing to import, which says nothing about the device.
Result<std::string> Prober::import_of(const Result<std::shared_ptr<Memory>>& memory) {
    if (!memory) return memory.error();
    auto dmabuf = (*memory)->export_dmabuf(0, (*memory)->size());
    if (!dmabuf) return std::move(dmabuf).error();
    auto handle = device_->import(dmabuf->get());
    return handle ? std::string() : handle.error().text();
}

void Prober::choose_memory() {
    std::string refused, contiguous_heap;
    for (const auto& entry : heaps_.entries()) {
        if (!entry.heap || !contains(entry.heap->traits().exports, Exports::dmabuf)) continue;
        const auto said = import_of(entry.heap->allocate(trial_bytes, "share probe"));
        if (!said) incomplete_ = true;
        if (!said || !said->empty()) {
            refused += fmt::format("{}{}: {}", refused.empty() ? "" : "; ", entry.name,
                                   said ? *said : "could not be tried: " + said.error().text());
            continue;
        }
        if (!bench_) bench_.emplace(*entry.heap);
        if (contiguous_heap.empty() && contiguous(*entry.heap)) contiguous_heap = entry.name;
    }
    if (!bench_)
        no_memory_ = refused.empty() ? "no heap here gives dma-bufs" : "no memory was taken: " + refused;
    judge_contiguity(import_of(scattered_memory(heaps_, trial_bytes)), contiguous_heap);
}

/// `contiguous_heap`: one that was imported, or empty.
void Prober::judge_contiguity(const Result<std::string>& scattered, const std::string& contiguous_heap) {
    const auto note = [this](ProbeState state, std::string from) {
        set_known(party_, Need::contiguity, state, std::move(from));
    };
    if (!scattered) {
        // Without its heap there is none the next time either.
        if (heaps_.find("udmabuf")) incomplete_ = true;
        return note(ProbeState::unprobeable,
                    "scattered memory could not be tried: " + scattered.error().text());
    }
    if (scattered->empty())
        return note(ProbeState::good, fmt::format("imported by {}: scattered memory was taken", who()));
    if (contiguous_heap.empty())
        return note(
            ProbeState::unprobeable,
            fmt::format("{} refused scattered memory, and took none that is contiguous for certain: {}",
                        who(), *scattered));
    party_.contiguous = true;
    note(ProbeState::good, fmt::format("imported by {}: {} taken, scattered memory not: {}", who(),
                                       contiguous_heap, *scattered));
}

/// `commit`: show it to the display, too, in a commit that is only tested. Errors: nothing could be tried, or
/// the device is gone.
Result<std::string> Prober::attempt(const Layout& layout, bool commit) {
    auto buffer = bench_->buffer(layout);
    if (!buffer) return std::move(buffer).error();
    // Made here already, so that what comes below is the device's answer.
    if (auto ours = (*buffer)->export_dmabuf(); !ours) return std::move(ours).error();
    auto framebuffer = Framebuffer::create(device_, *std::move(buffer));
    if (!framebuffer && framebuffer.error().code == Code::disconnected) return framebuffer.error();
    if (!framebuffer) return short_reason("no framebuffer (ADDFB2)", framebuffer.error());
    if (!commit || !display_) return std::string();
    auto shown = display_->test(**framebuffer);
    if (!shown && shown.error().code == Code::disconnected) return shown.error();
    return shown ? std::string() : short_reason("refused by a commit", shown.error());
}

FormatChoice Prober::choice_of(const FormatModifier& pair) {
    FormatChoice choice;
    choice.pair = pair;
    if (!in_rows(pair) || !find_format(pair.format)) {
        choice.from = in_rows(pair) ? "libshare cannot lay out this format" : "only its driver tiles so";
        return choice;
    }
    if (!bench_ || options_.deadline.passed()) {
        choice.from = bench_ ? "no time was left" : no_memory_;
        return choice;
    }
    auto rows = Layout::linear(width_, height_, pair.format, {256, 4096, 1, 4096});
    auto layout =
        rows ? Layout::describe(width_, height_, pair.format, pair.modifier, rows->planes(), rows->size())
             : std::move(rows);
    auto said = layout ? attempt(*layout, true) : Result<std::string>(layout.error().detail);
    if (!said) {
        incomplete_ = true;
        choice.from = "could not be tried: " + said.error().text();
        return choice;
    }
    const std::string& why = *said;
    // Of dma-bufs that the CPU wrote, "no modifier" means rows to every KMS driver.
    choice.implicit_is_linear = pair.modifier == modifier::none && why.empty();
    choice.state = !why.empty() ? ProbeState::bad : display_ ? ProbeState::good : ProbeState::unprobeable;
    choice.from = !why.empty() ? why
                  : display_   ? fmt::format("a commit on {} was tested", display_->connector())
                               : "ADDFB2 took it, no commit was tested: " + no_display_;
    return choice;
}

/// May the picture be smaller than the mode?
void Prober::measure_smallest(FormatModifier pair) {
    const auto& caps = device_->capabilities();
    party_.min_width = std::max(caps.min_width, 1U);
    party_.min_height = std::max(caps.min_height, 1U);
    if (!display_ || options_.deadline.passed()) {
        set_known(party_, Need::picture, ProbeState::unprobeable,
                  display_ ? "no time was left" : no_display_);
        return;
    }
    auto layout = Layout::linear(std::max(width_ / 2, party_.min_width),
                                 std::max(height_ / 2, party_.min_height), pair.format, {256, 4096, 1, 4096});
    auto said = layout ? attempt(*layout, true) : Result<std::string>(layout.error().detail);
    if (!said) {
        incomplete_ = true;
        set_known(party_, Need::picture, ProbeState::unprobeable,
                  "could not be tried: " + said.error().text());
        return;
    }
    const std::string& why = *said;
    if (!why.empty()) {
        party_.min_width = width_;
        party_.min_height = height_;
    }
    set_known(party_, Need::picture, ProbeState::good,
              fmt::format("a commit of a quarter of {}x{} was {}", width_, height_,
                          why.empty() ? "taken" : "refused: " + why));
}

Result<void> Prober::measure(FormatModifier pair) {
    const auto& caps = device_->capabilities();
    MeasureOptions how;
    // The display reads what it needs of a wider picture.
    how.width = std::min(width_ | 1U, std::max(caps.max_width, 1U));
    how.height = std::min(height_ | 1U, std::max(caps.max_height, 1U));
    how.deadline = options_.deadline;
    how.how = display_ ? fmt::format("commits tested by {}", who()) : fmt::format("ADDFB2 on {}", who());
    measure_smallest(pair);
    const Attempt both = [this](const Layout& layout) { return attempt(layout, true); };
    if (auto measured = measure_layout(party_, pair, both, how); !measured) return measured;
    // Long thin pictures cover no display.
    const Attempt added = [this](const Layout& layout) { return attempt(layout, false); };
    how.how = fmt::format("ADDFB2 on {}", who());
    return measure_extent(
        party_, pair,
        {caps.max_width, caps.max_height, std::max(caps.min_width, 1U), std::max(caps.min_height, 1U)}, added,
        how);
}

/// What has no answer yet; max_width and max_height by the device's word.
void Prober::fill_untried(const std::string& why) {
    for (const Need need : {Need::stride, Need::offset, Need::height_padding, Need::max_picture})
        if (!find_known(party_, need)) set_known(party_, need, ProbeState::unprobeable, why);
    const auto& caps = device_->capabilities();
    if (find_known(party_, Need::max_picture)->state == ProbeState::good) return;
    party_.max_width = std::max(caps.max_width, 1U);
    party_.max_height = std::max(caps.max_height, 1U);
}

void Prober::untried(const std::string& why) {
    for (const Need need :
         {Need::stride, Need::offset, Need::height_padding, Need::max_picture, Need::picture})
        set_known(party_, need, ProbeState::unprobeable, why);
    const auto& caps = device_->capabilities();
    party_.max_width = std::max(caps.max_width, 1U);
    party_.max_height = std::max(caps.max_height, 1U);
}

ProbeKey Prober::key() const {
    std::string version;
    if (const DrmPtr<drmVersion> said(drmGetVersion(device_->fd())); said)
        version = fmt::format("{}.{}.{}", said->version_major, said->version_minor, said->version_patchlevel);
    struct stat node{};
    std::error_code none;
    std::string place;
    if (::fstat(device_->fd(), &node) == 0)
        place = std::filesystem::canonical(
                    fmt::format("/sys/dev/char/{}:{}/device", major(node.st_rdev), minor(node.st_rdev)), none)
                    .string();
    std::string memory;
    for (const auto& entry : heaps_.entries())
        if (entry.heap) memory += " " + entry.name;
    return {
        "kms", device_->driver(),
        fmt::format("{}; Linux {}; {}; {}; {}", version, kernel_release(), place,
                    display_ ? fmt::format("{} {}x{}", display_->connector(), width_, height_) : "no commits",
                    memory)};
}

Result<Requirements> Prober::run() {
    open_display();
    std::optional<Requirements> partial;
    auto party = measured_once(options_.cache, key(), options_.party, device_->node(), options_.deadline,
                               [&]() -> Result<Requirements> {
                                   auto measured = measure_all();
                                   if (!measured || !incomplete_) return measured;
                                   partial = *std::move(measured);
                                   return make_error(Code::unavailable, "measuring what " + who() + " shows",
                                                     "not all could be tried");
                               });
    if (partial) return *std::move(partial); // an error is not kept
    return party;
}

Result<Requirements> Prober::measure_all() {
    party_.party = options_.party;
    party_.device = device_->node();
    party_.handles = Exports::dmabuf;
    set_known(party_, Need::handle, ProbeState::good, "KMS takes dma-bufs (PRIME)");
    choose_memory();
    for (const FormatModifier& pair : device_->primary_formats())
        party_.formats.push_back(choice_of(pair));
    const auto by =
        std::find_if(party_.formats.begin(), party_.formats.end(), [](const FormatChoice& choice) {
            const FormatInfo* info = find_format(choice.pair.format);
            return in_rows(choice.pair) && info && info->plane_count == 1 &&
                   info->planes[0].block_bytes == 4 && is_offered(choice.state);
        });
    if (!bench_ || by == party_.formats.end()) {
        untried(bench_ ? "no format of four bytes a pixel is taken" : no_memory_);
        return party_;
    }
    const FormatModifier pair = by->pair;
    if (auto measured = measure(pair); !measured) {
        if (measured.error().code == Code::disconnected) return std::move(measured).error();
        incomplete_ = true;
        fill_untried("could not be tried: " + measured.error().text());
    }
    return party_;
}

} // namespace

Result<Requirements> requirements_of(const std::shared_ptr<Device>& device, const HeapTable& heaps,
                                     const RequirementsOptions& options) {
    const auto& caps = device->capabilities();
    if (!caps.kms || !caps.prime_import)
        return make_error(Code::unsupported,
                          fmt::format("measuring what {} ({}) shows", device->node(), device->driver()),
                          caps.kms ? "its driver imports no dma-bufs; use its own dumb buffers"
                                   : "it has no display; ask the display controller's node");
    return Prober(device, heaps, options).run();
}

} // namespace share::kms
