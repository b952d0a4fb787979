// SPDX-License-Identifier: MIT
#include <share/ledger.hpp>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace share {

std::string_view to_string(Mechanism mechanism) noexcept {
    switch (mechanism) {
    case Mechanism::decode:
        return "decode";
    case Mechanism::device:
        return "device";
    case Mechanism::memfd:
        return "memfd";
    case Mechanism::udmabuf:
        return "udmabuf";
    case Mechanism::dmabuf:
        return "dmabuf";
    case Mechanism::wl_shm:
        return "wl_shm";
    case Mechanism::mit_shm_fd:
        return "mit-shm-fd";
    case Mechanism::mit_shm_sysv:
        return "mit-shm-sysv";
    case Mechanism::x_socket:
        return "x-socket";
    case Mechanism::eglimage:
        return "eglimage";
    case Mechanism::texture:
        return "texture";
    case Mechanism::blit:
        return "blit";
    case Mechanism::draw:
        return "draw";
    case Mechanism::map:
        return "map";
    case Mechanism::scanout:
        return "scanout";
    }
    return "unknown";
}

std::string_view to_string(By by) noexcept {
    switch (by) {
    case By::us:
        return "us";
    case By::server:
        return "server";
    case By::compositor:
        return "compositor";
    }
    return "unknown";
}

Ledger::Ledger(std::string program, std::size_t keep) : program_(std::move(program)), keep_(keep) {}

void Ledger::note(std::string about, std::string text) {
    notes_.push_back({std::move(about), std::move(text)});
}

void Ledger::add(FrameRecord record) {
    ++totals_.frames;
    for (const auto& step : record.steps) {
        std::uint64_t& copied = step.by == By::us       ? totals_.copied_by_us
                                : step.by == By::server ? totals_.copied_by_server
                                                        : totals_.copied_by_compositor;
        copied += step.bytes_copied.value_or(0);
        totals_.converted += step.bytes_converted.value_or(0);
        if (!step.bytes_copied || !step.bytes_converted) ++totals_.unknown_steps;
    }
    // A frame counts once per mechanism, however many steps of it there are.
    for (std::size_t i = 0; i < record.steps.size(); ++i) {
        bool first = true;
        for (std::size_t j = 0; j < i; ++j)
            first = first && record.steps[j].mechanism != record.steps[i].mechanism;
        if (first) ++totals_.frames_by_mechanism[std::string(to_string(record.steps[i].mechanism))];
    }
    frames_.push_back(std::move(record));
    while (frames_.size() > keep_)
        frames_.pop_front();
}

namespace {

using Json = nlohmann::ordered_json;

std::string amount(const std::optional<std::uint64_t>& bytes) {
    return bytes ? fmt::format("{}", *bytes) : "unknown";
}

Json number(const std::optional<std::uint64_t>& bytes) {
    return bytes ? Json(*bytes) : Json(nullptr);
}

Json step_json(const Step& step) {
    return Json{{"stage", step.stage},
                {"mechanism", to_string(step.mechanism)},
                {"by", to_string(step.by)},
                {"bytes_copied", number(step.bytes_copied)},
                {"bytes_converted", number(step.bytes_converted)},
                {"reason", step.reason}};
}

/// A file name or title need not be UTF-8: replace what is not, rather than throw.
std::string dump(const Json& value) {
    return value.dump(-1, ' ', false, Json::error_handler_t::replace);
}

} // namespace

std::string Ledger::table() const {
    std::string out =
        fmt::format("ledger of {}: {} frame{}\n", program_, totals_.frames, totals_.frames == 1 ? "" : "s");
    for (const auto& note : notes_)
        out += fmt::format("  note  {}: {}\n", note.about, note.text);
    if (!frames_.empty()) {
        const auto& last = frames_.back();
        out += fmt::format("  frame {} of {}\n", last.frame, last.stream);
        out += fmt::format("    {:<9}{:<14}{:<12}{:>14}{:>16}  {}\n", "stage", "mechanism", "by",
                           "bytes copied", "bytes converted", "reason");
        for (const auto& step : last.steps)
            out += fmt::format("    {:<9}{:<14}{:<12}{:>14}{:>16}  {}\n", step.stage,
                               to_string(step.mechanism), to_string(step.by), amount(step.bytes_copied),
                               amount(step.bytes_converted), step.reason);
    }
    out += fmt::format(
        "  total copied: {} bytes by us, {} by the X server, {} by the compositor; converted: {} bytes",
        totals_.copied_by_us, totals_.copied_by_server, totals_.copied_by_compositor, totals_.converted);
    if (totals_.unknown_steps > 0)
        out += fmt::format("; {} steps are the peer's own and cannot be seen", totals_.unknown_steps);
    return out + "\n";
}

std::string Ledger::json(const FrameRecord& record) const {
    auto steps = Json::array();
    for (const auto& step : record.steps)
        steps.push_back(step_json(step));
    return dump({{"v", 1},
                 {"type", "frame"},
                 {"program", program_},
                 {"frame", record.frame},
                 {"stream", record.stream},
                 {"steps", steps}});
}

std::string Ledger::json_summary() const {
    auto notes = Json::array();
    for (const auto& note : notes_)
        notes.push_back({{"about", note.about}, {"text", note.text}});
    return dump({{"v", 1},
                 {"type", "summary"},
                 {"program", program_},
                 {"notes", notes},
                 {"totals",
                  {{"frames", totals_.frames},
                   {"copied_by_us", totals_.copied_by_us},
                   {"copied_by_server", totals_.copied_by_server},
                   {"copied_by_compositor", totals_.copied_by_compositor},
                   {"converted", totals_.converted},
                   {"unknown_steps", totals_.unknown_steps},
                   {"frames_by_mechanism", totals_.frames_by_mechanism}}}});
}

} // namespace share
