// SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include <share/heap.hpp>
#include <share/wayland_client/display.hpp>
#include <share/wayland_client/requirements.hpp>

#include "files.hpp"
#include "needs.hpp"
#include "sections.hpp"

namespace info {

namespace {

using share::wayland_client::Display;

Json device_or_null(const std::optional<dev_t>& device) {
    return device ? Json(device_text(*device)) : Json(nullptr);
}

Json describe(const share::wayland_client::Tranche& tranche) {
    Json part{{"target_device", device_or_null(tranche.target_device)},
              {"scanout", tranche.scanout},
              {"formats", Json::array()}};
    for (const auto& pair : tranche.formats)
        part["formats"].push_back(
            {{"format", share::fourcc_text(pair.format)}, {"modifier", share::modifier_text(pair.modifier)}});
    return part;
}

Json describe_dmabuf(const Display& display) {
    const auto* offer = display.dmabuf();
    if (!offer)
        return missing(display.dmabuf_reason().empty()
                           ? "this compositor does not offer it; buffers reach it through wl_shm"
                           : display.dmabuf_reason());
    Json part = available();
    part["version"] = offer->version;
    part["main_device"] = device_or_null(offer->main_device);
    part["tranches"] = Json::array();
    for (const auto& tranche : offer->tranches)
        part["tranches"].push_back(describe(tranche));
    return part;
}

std::string tranche_text(const Json& tranche) {
    std::string text;
    if (!tranche.at("target_device").is_null())
        text = fmt::format("for {}{}: ", plain(tranche.at("target_device")),
                           tranche.at("scanout").get<bool>() ? ", scan-out" : "");
    const auto pairs = pairs_text(tranche.at("formats"));
    return text + (pairs.empty() ? "no format" : pairs);
}

} // namespace

Json collect_wayland() {
    const auto deadline = share::Deadline::in(server_patience);
    auto display = Display::connect(deadline);
    if (!display) return missing(display.error());
    Json part = available();
    part["globals"] = Json::array();
    for (const auto& global : (*display)->globals())
        part["globals"].push_back({{"interface", global.interface}, {"version", global.version}});
    part["linux_dmabuf"] = describe_dmabuf(**display);
    part["wl_shm"] = Json{{"formats", Json::array()}};
    for (const auto format : (*display)->shm().formats)
        part["wl_shm"]["formats"].push_back(share::fourcc_text(format));
    // Last: a compositor that is offended may end the connection.
    part["needs"]["linux_dmabuf"] = needs_of([&] {
        return share::wayland_client::dmabuf_requirements(**display, share::HeapTable::probe(),
                                                          {.deadline = share::Deadline::in(needs_patience)});
    });
    part["needs"]["wl_shm"] = needs_of([&] { return share::wayland_client::shm_requirements(**display); });
    return part;
}

void print_wayland(const Json& part, Page& page) {
    const auto& dmabuf = part.at("linux_dmabuf");
    if (is_available(dmabuf)) {
        page.line("linux-dmabuf", fmt::format("version {}{}", dmabuf.at("version").dump(),
                                              dmabuf.at("main_device").is_null()
                                                  ? ", names no device"
                                                  : ", main device " + plain(dmabuf.at("main_device"))));
        for (const auto& tranche : dmabuf.at("tranches"))
            page.detail("offers", tranche_text(tranche));
        print_needs(part.at("needs").at("linux_dmabuf"), "needs", page);
    } else {
        page.no("linux-dmabuf", dmabuf);
    }
    std::string formats;
    for (const auto& format : part.at("wl_shm").at("formats"))
        formats += (formats.empty() ? "" : " ") + format_name(format);
    page.line("wl_shm", formats.empty() ? "no: this compositor does not offer it" : formats);
    std::string globals;
    for (const auto& global : part.at("globals"))
        globals += fmt::format("{}{} {}", globals.empty() ? "" : ", ", plain(global.at("interface")),
                               global.at("version").dump());
    page.line("globals", globals);
}

} // namespace info
