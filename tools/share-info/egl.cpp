// SPDX-License-Identifier: MIT
#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include <share/egl/devices.hpp>
#include <share/egl/display.hpp>
#include <share/egl/prober.hpp>
#include <share/egl/requirements.hpp>

#include "files.hpp"
#include "needs.hpp"
#include "sections.hpp"

namespace info {

namespace {

/// What sharing buffers and ordering access to them needs.
constexpr std::array extensions{"EGL_EXT_image_dma_buf_import", "EGL_EXT_image_dma_buf_import_modifiers",
                                "EGL_MESA_image_dma_buf_export", "EGL_ANDROID_native_fence_sync"};

Json formats_of(const std::shared_ptr<share::egl::Display>& display) {
    if (!display->imports()) return missing("a software driver on a DRM node crashes on foreign buffers");
    auto results = share::egl::probe_formats(display, share::HeapTable::probe());
    if (!results) return missing(results.error());
    Json part = available();
    part["pairs"] = Json::array();
    for (const auto& result : *results) {
        Json pair{{"format", share::fourcc_text(result.format)},
                  {"modifier", share::modifier_text(result.modifier)},
                  {"state", to_string(result.state)},
                  {"external_only", result.external_only}};
        if (!result.reason.empty()) pair["reason"] = result.reason;
        part["pairs"].push_back(std::move(pair));
    }
    return part;
}

Json needs_of_display(const std::shared_ptr<share::egl::Display>& display) {
    if (!display->imports()) return missing("a software driver on a DRM node crashes on foreign buffers");
    return needs_of([&] {
        return share::egl::requirements_of(display, share::HeapTable::probe(),
                                           {.deadline = share::Deadline::in(needs_patience)});
    });
}

Json describe(const share::egl::DisplayOptions& options) {
    auto opened = share::egl::Display::open(options);
    Json part = opened ? available() : missing(opened.error());
    part["asked"] = options.node.empty() ? "software" : options.node;
    if (!opened) return part;
    const auto& display = **opened;
    part["platform"] = display.platform();
    part["renderer"] = display.driver();
    part["version"] = display.version();
    part["software"] = display.is_software();
    part["main_device"] = display.main_device() ? Json(device_text(display.main_device())) : Json(nullptr);
    for (const auto* name : extensions)
        part["extensions"][name] = display.has_extension(name);
    part["formats"] = formats_of(*opened);
    part["needs"] = needs_of_display(*opened);
    return part;
}

Json in_state(const Json& pairs, std::string_view state) {
    Json chosen = Json::array();
    for (const auto& pair : pairs)
        if (pair.at("state") == state) chosen.push_back(pair);
    return chosen;
}

/// Each reason once, with the pairs that it holds for. What was attempted is known here: the driver's words
/// behind "into DRIVER: " are left.
std::string refusals_text(const Json& pairs, const std::string& driver) {
    std::vector<std::pair<std::string, Json>> reasons;
    for (const auto& pair : pairs) {
        auto reason = reason_of(pair);
        const std::string attempt = "into " + driver + ": ";
        if (const auto at = reason.find(attempt); at != reason.npos) reason.erase(0, at + attempt.size());
        auto found = std::find_if(reasons.begin(), reasons.end(), [&](auto& r) { return r.first == reason; });
        if (found == reasons.end()) found = reasons.insert(reasons.end(), {reason, Json::array()});
        found->second.push_back(pair);
    }
    std::string text;
    for (const auto& [reason, held] : reasons)
        text += fmt::format("{}{}: {}", text.empty() ? "" : "; ", pairs_text(held), reason);
    return text;
}

void print_formats(const Json& formats, const std::string& driver, Page& page) {
    if (!is_available(formats)) return page.detail("imports", "no: " + reason_of(formats));
    const auto& pairs = formats.at("pairs");
    const auto good = pairs_text(in_state(pairs, "good"));
    page.detail("imports", good.empty() ? "nothing that it advertises" : good);
    if (const auto bad = refusals_text(in_state(pairs, "bad"), driver); !bad.empty())
        page.detail("advertised, bad", bad);
    if (const auto rest = refusals_text(in_state(pairs, "unprobeable"), driver); !rest.empty())
        page.detail("unprobeable", rest);
}

} // namespace

Json collect_egl() {
    Json part = available();
    part["devices"] = Json::array();
    part["displays"] = Json::array();
    for (const auto& device : share::egl::list_devices()) {
        part["devices"].push_back(
            {{"node", device.node}, {"primary", device.primary}, {"software", device.software}});
        if (!device.software && !device.node.empty())
            part["displays"].push_back(describe({.node = device.node, .software_only = false}));
    }
    part["displays"].push_back(describe({.node = {}, .software_only = true}));
    return part;
}

void print_egl(const Json& part, Page& page) {
    for (const auto& display : part.at("displays")) {
        const auto asked = plain(display.at("asked"));
        if (!is_available(display)) {
            page.no(asked, display);
            continue;
        }
        page.line(asked, fmt::format("{}; {}; {}, {}", plain(display.at("renderer")),
                                     plain(display.at("version")), plain(display.at("platform")),
                                     display.at("software").get<bool>() ? "software" : "hardware"));
        std::string lacks;
        for (const auto& [name, has] : display.at("extensions").items())
            if (!has.get<bool>()) lacks += (lacks.empty() ? "" : ", ") + name;
        if (!lacks.empty()) page.detail("lacks", lacks);
        print_formats(display.at("formats"), plain(display.at("renderer")), page);
        print_needs(display.at("needs"), "needs", page);
    }
}

} // namespace info
