// SPDX-License-Identifier: MIT
#include <algorithm>
#include <filesystem>

#include <fmt/format.h>

#include <share/heap.hpp>
#include <share/v4l2/device.hpp>
#include <share/v4l2/requirements.hpp>

#include "needs.hpp"
#include "sections.hpp"

namespace info {

namespace {

using share::v4l2::Device;
using share::v4l2::Side;

/// What one queue takes or gives; null where the device has no such queue.
Json codes_of(const Device& device, Side side) {
    const auto& facts = device.info();
    if (!facts.m2m && !(side == Side::capture ? facts.captures : facts.outputs)) return nullptr;
    auto codes = device.codes(side);
    if (!codes) return nullptr;
    Json list = Json::array();
    for (const auto& code : *codes)
        list.push_back({{"code", share::fourcc_text(code.code)},
                        {"description", code.description},
                        {"compressed", code.compressed}});
    return list;
}

/// As it is set up now; null where the device has no such queue.
Json needs_of_queue(const Device& device, Side side) {
    const auto& facts = device.info();
    if (!facts.m2m && !(side == Side::capture ? facts.captures : facts.outputs)) return nullptr;
    return needs_of([&] {
        return share::v4l2::requirements_of(device, side, share::HeapTable::probe(),
                                            {.deadline = share::Deadline::in(needs_patience)});
    });
}

Json describe(const std::string& path) {
    auto device = Device::open(path);
    Json part = device ? available() : missing(device.error());
    part["path"] = path;
    if (!device) return part;
    const auto& facts = device->info();
    part["driver"] = facts.driver;
    part["card"] = facts.card;
    part["kind"] = facts.m2m        ? "memory-to-memory"
                   : facts.captures ? "capture"
                   : facts.outputs  ? "output"
                                    : "other";
    part["streams"] = facts.streams;
    part["multiplanar"] = facts.multiplanar;
    part["capture"] = codes_of(*device, Side::capture);
    part["output"] = codes_of(*device, Side::output);
    part["needs"] = {{"capture", needs_of_queue(*device, Side::capture)},
                     {"output", needs_of_queue(*device, Side::output)}};
    return part;
}

std::vector<std::string> nodes() {
    std::vector<std::string> found;
    std::error_code none;
    for (const auto& entry : std::filesystem::directory_iterator("/dev", none))
        if (entry.path().filename().string().starts_with("video") && entry.is_character_file(none))
            found.push_back(entry.path());
    std::sort(found.begin(), found.end(),
              [](const auto& a, const auto& b) { return std::pair(a.size(), a) < std::pair(b.size(), b); });
    return found;
}

/// The first ones: some drivers know a hundred, and the JSON has all.
std::string codes_text(const Json& codes) {
    constexpr std::size_t most = 15;
    std::string text;
    for (std::size_t i = 0; i < std::min(codes.size(), most); ++i)
        text += (text.empty() ? "" : " ") + format_name(codes[i].at("code"));
    if (codes.size() > most) text += fmt::format(" and {} more", codes.size() - most);
    return text.empty() ? "nothing" : text;
}

} // namespace

Json collect_v4l2() {
    const auto paths = nodes();
    if (paths.empty())
        return missing("no /dev/video*: there is no camera, codec or converter that the kernel drives");
    Json part = available();
    part["devices"] = Json::array();
    for (const auto& path : paths)
        part["devices"].push_back(describe(path));
    return part;
}

void print_v4l2(const Json& part, Page& page) {
    for (const auto& device : part.at("devices")) {
        const auto path = plain(device.at("path"));
        if (!is_available(device)) {
            page.no(path, device);
            continue;
        }
        page.line(path, fmt::format("{} ({}), {}{}{}", plain(device.at("driver")), plain(device.at("card")),
                                    plain(device.at("kind")),
                                    device.at("multiplanar").get<bool>() ? ", multi-planar" : "",
                                    device.at("streams").get<bool>() ? "" : ", cannot stream"));
        if (!device.at("output").is_null()) page.detail("takes", codes_text(device.at("output")));
        if (!device.at("capture").is_null()) page.detail("gives", codes_text(device.at("capture")));
        for (const auto* side : {"output", "capture"})
            if (const auto& needs = device.at("needs").at(side); !needs.is_null())
                print_needs(needs, std::string(side) + " needs", page);
    }
}

} // namespace info
