// SPDX-License-Identifier: MIT
#include <share/kms/requirements.hpp>

#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <optional>

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
    std::string import_of(const Result<std::shared_ptr<Memory>>& memory);
    FormatChoice choice_of(const FormatModifier& pair);
    Result<std::string> attempt(const Layout& layout, bool commit);
    Result<void> measure(FormatModifier pair);
    void measure_smallest(FormatModifier pair);
    void untried(const std::string& why);

    std::shared_ptr<Device> device_;
    const HeapTable& heaps_;
    const RequirementsOptions& options_;
    Requirements party_;
    std::unique_ptr<ScanOut> display_;
    std::string no_display_; ///< why no commit can be tested
    std::optional<Bench> bench_;
    std::string no_memory_;
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

/// Empty: taken.
std::string Prober::import_of(const Result<std::shared_ptr<Memory>>& memory) {
    if (!memory) return memory.error().text();
    auto dmabuf = (*memory)->export_dmabuf(0, (*memory)->size());
    if (!dmabuf) return dmabuf.error().text();
    auto handle = device_->import(dmabuf->get());
    return handle ? std::string() : handle.error().text();
}

void Prober::choose_memory() {
    const auto scattered_dmabuf = scattered_memory(heaps_, trial_bytes);
    const std::string scattered = import_of(scattered_dmabuf);
    const bool tried = scattered_dmabuf.ok();
    std::string refused;
    party_.contiguous = tried && !scattered.empty();
    for (const auto& entry : heaps_.entries()) {
        if (!entry.heap || !contains(entry.heap->traits().exports, Exports::dmabuf)) continue;
        const std::string why = import_of(entry.heap->allocate(trial_bytes, "share probe"));
        if (!why.empty()) {
            refused += fmt::format("{}{}: {}", refused.empty() ? "" : "; ", entry.name, why);
            continue;
        }
        if (!bench_) bench_.emplace(*entry.heap);
        if (party_.contiguous && entry.heap->traits().contiguous == Tristate::yes)
            set_known(party_, Need::contiguity, ProbeState::good,
                      fmt::format("imported by {}: {} taken, scattered memory not: {}", who(), entry.name,
                                  scattered));
    }
    if (tried && scattered.empty())
        set_known(party_, Need::contiguity, ProbeState::good,
                  fmt::format("imported by {}: scattered memory was taken", who()));
    else if (!find_known(party_, Need::contiguity))
        set_known(party_, Need::contiguity, ProbeState::unprobeable,
                  tried ? fmt::format("{} refused scattered memory: {}", who(), scattered)
                        : "scattered memory could not be tried: " + scattered);
    if (!bench_)
        no_memory_ = refused.empty() ? "no heap here gives dma-bufs" : "no memory was taken: " + refused;
}

/// `commit`: show it to the display, too, in a commit that is only tested.
Result<std::string> Prober::attempt(const Layout& layout, bool commit) {
    auto buffer = bench_->buffer(layout);
    if (!buffer) return buffer.error().text();
    auto framebuffer = Framebuffer::create(device_, *std::move(buffer));
    if (!framebuffer && framebuffer.error().code == Code::disconnected) return framebuffer.error();
    if (!framebuffer) return framebuffer.error().text();
    if (!commit || !display_) return std::string();
    auto shown = display_->test(**framebuffer);
    if (!shown && shown.error().code == Code::disconnected) return shown.error();
    return shown ? std::string() : shown.error().text();
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
    auto said = layout ? attempt(*layout, true) : Result<std::string>(layout.error().text());
    const std::string why = said ? *said : said.error().text();
    // Its rows were never looked at: that "no modifier" means rows is what KMS drivers do, not what was seen.
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
    auto said = layout ? attempt(*layout, true) : Result<std::string>(layout.error().text());
    const std::string why = said ? *said : said.error().text();
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
    how.width = width_ | 1U; // the display reads what it needs of a wider picture
    how.height = height_ | 1U;
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
    return measured_once(options_.cache, key(), options_.party, device_->node(), options_.deadline,
                         [this] { return measure_all(); });
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
    if (auto measured = measure(by->pair); !measured) return std::move(measured).error();
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
