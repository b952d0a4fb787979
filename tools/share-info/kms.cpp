// SPDX-License-Identifier: MIT
#include <algorithm>

#include <fmt/format.h>

#include <share/heap.hpp>
#include <share/kms/device.hpp>
#include <share/kms/requirements.hpp>

#include "needs.hpp"
#include "sections.hpp"

namespace info {

namespace {

using share::kms::Device;

/// Measured: one page of each heap that makes dma-bufs, as a GEM object of this device.
Json imports_of(Device& device, const share::HeapTable& heaps) {
    Json list = Json::array();
    for (const auto& entry : heaps.entries()) {
        if (!entry.heap) continue;
        auto memory = entry.heap->allocate(1, "share-info");
        if (!memory) continue;
        auto dmabuf = (*memory)->export_dmabuf(0, (*memory)->size());
        if (!dmabuf) continue;
        auto handle = device.import(dmabuf->get());
        Json part = handle ? available() : missing(handle.error());
        part["heap"] = entry.name;
        list.push_back(std::move(part));
    }
    return list;
}

Json describe(const share::kms::ConnectorInfo& connector) {
    Json part{{"name", connector.name},
              {"connected", connector.connected},
              {"writeback", connector.writeback},
              {"modes", connector.modes.size()},
              {"preferred_mode", nullptr}};
    for (const auto& mode : connector.modes)
        if (mode.preferred)
            part["preferred_mode"] = {
                {"width", mode.width}, {"height", mode.height}, {"refresh_mhz", mode.refresh_mhz}};
    return part;
}

Json connectors_of(const Device& device) {
    auto connectors = device.connectors();
    if (!connectors) return missing(connectors.error());
    Json part = available();
    part["list"] = Json::array();
    for (const auto& connector : *connectors)
        part["list"].push_back(describe(connector));
    return part;
}

Json describe(const std::string& node, const share::HeapTable& heaps) {
    auto opened = Device::open(node);
    Json part = opened ? available() : missing(opened.error());
    part["node"] = node;
    if (!opened) return part;
    auto& device = **opened;
    const auto& can = device.capabilities();
    part["driver"] = device.driver();
    part["display"] = can.kms;
    part["atomic"] = can.atomic;
    part["writeback"] = can.writeback;
    part["dumb"] = can.dumb;
    part["modifiers"] = can.addfb2_modifiers;
    part["prime"] = {{"import", can.prime_import}, {"export", can.prime_export}};
    part["max_size"] = {{"width", can.max_width}, {"height", can.max_height}};
    part["primary_formats"] = Json::array();
    for (const auto& pair : device.primary_formats())
        part["primary_formats"].push_back(
            {{"format", share::fourcc_text(pair.format)}, {"modifier", share::modifier_text(pair.modifier)}});
    part["connectors"] = can.kms ? connectors_of(device) : missing("this device shows nothing");
    part["imports"] = imports_of(device, heaps);
    part["needs"] = needs_of([&] {
        return share::kms::requirements_of(*opened, heaps, {.deadline = share::Deadline::in(needs_patience)});
    });
    return part;
}

std::string abilities_text(const Json& device) {
    std::string text = device.at("display").get<bool>() ? "shows pictures" : "shows nothing";
    for (const auto* name : {"atomic", "writeback", "modifiers"})
        text += fmt::format(", {}{}", device.at(name).get<bool>() ? "" : "no ", name);
    return text;
}

std::string connector_text(const Json& connector) {
    if (connector.at("writeback").get<bool>()) return "writes the picture into memory";
    if (!connector.at("connected").get<bool>()) return "no display";
    const auto& mode = connector.at("preferred_mode");
    return fmt::format("a display, {} modes{}", connector.at("modes").dump(),
                       mode.is_null() ? ""
                                      : fmt::format(", best {}x{} at {:.2f} Hz", mode.at("width").dump(),
                                                    mode.at("height").dump(),
                                                    mode.at("refresh_mhz").get<double>() / 1000));
}

void print_device(const Json& device, Page& page) {
    page.line(plain(device.at("node")),
              fmt::format("{}: {}", plain(device.at("driver")), abilities_text(device)));
    const auto formats = pairs_text(device.at("primary_formats"));
    if (!formats.empty()) page.detail("scans out", formats);
    if (is_available(device.at("connectors")))
        for (const auto& connector : device.at("connectors").at("list"))
            page.detail(plain(connector.at("name")), connector_text(connector));
    else if (device.at("display").get<bool>())
        page.detail("connectors", "no: " + reason_of(device.at("connectors")));
    for (const auto& import : device.at("imports"))
        page.detail("takes " + plain(import.at("heap")),
                    is_available(import) ? "yes, imported one" : "no: " + reason_of(import));
    if (device.at("display").get<bool>()) print_needs(device.at("needs"), "needs", page);
}

} // namespace

Json collect_kms() {
    const auto nodes = Device::nodes();
    if (nodes.empty())
        return missing("no /dev/dri/card*: the kernel drives no display controller or GPU here");
    Json part = available();
    part["devices"] = Json::array();
    const auto heaps = share::HeapTable::probe();
    for (const auto& node : nodes)
        part["devices"].push_back(describe(node, heaps));
    return part;
}

void print_kms(const Json& part, Page& page) {
    for (const auto& device : part.at("devices")) {
        if (is_available(device))
            print_device(device, page);
        else
            page.no(plain(device.at("node")), device);
    }
}

} // namespace info
