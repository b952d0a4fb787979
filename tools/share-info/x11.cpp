// SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include <share/heap.hpp>
#include <share/x11/offer.hpp>
#include <share/x11/requirements.hpp>

#include "needs.hpp"
#include "sections.hpp"

namespace info {

namespace {

Json describe(const std::optional<share::x11::ExtensionVersion>& version, std::string_view without) {
    if (!version) return missing(without);
    Json part = available();
    part["version"] = fmt::format("{}.{}", version->major, version->minor);
    return part;
}

Json fd_passing(const share::x11::ServerOffer& offer) {
    if (offer.takes_fds()) return available();
    if (!offer.local) return missing("the connection is no local socket; pixels go through it");
    if (!offer.mit_shm) return missing("it needs MIT-SHM");
    return missing("it came with MIT-SHM 1.2; memory can be shared by SysV segments");
}

void print_extension(const Json& part, std::string_view name, Page& page) {
    if (is_available(part))
        page.line(name, plain(part.at("version")));
    else
        page.no(name, part);
}

} // namespace

Json collect_x11() {
    const auto deadline = share::Deadline::in(server_patience);
    auto connection = share::x11::Connection::open("", deadline);
    if (!connection) return missing(connection.error());
    auto offer = share::x11::query_offer(**connection, deadline);
    if (!offer) return missing(offer.error());
    Json part = available();
    part["vendor"] = offer->vendor;
    part["release"] = offer->release;
    part["local"] = offer->local;
    part["screen"] = {{"width", offer->width}, {"height", offer->height}, {"depth", offer->depth}};
    part["mit_shm"] = describe(offer->mit_shm, "this server does not have it; pixels go through the socket");
    if (offer->mit_shm) part["mit_shm"]["shared_pixmaps"] = offer->shared_pixmaps;
    part["fd_passing"] = fd_passing(*offer);
    part["dri3"] = describe(offer->dri3, "this server does not have it; dma-bufs cannot become pixmaps");
    part["present"] = describe(offer->present, "this server does not have it");
    part["needs"] = needs_of([&] {
        return share::x11::requirements_of(**connection, (*connection)->screen().root,
                                           share::HeapTable::probe(),
                                           {.deadline = share::Deadline::in(needs_patience)});
    });
    return part;
}

void print_x11(const Json& part, Page& page) {
    const auto& screen = part.at("screen");
    page.line("server", fmt::format("{}, release {}, {}", plain(part.at("vendor")), part.at("release").dump(),
                                    part.at("local").get<bool>() ? "local" : "remote"));
    page.line("screen", fmt::format("{}x{}, depth {}", screen.at("width").dump(), screen.at("height").dump(),
                                    screen.at("depth").dump()));
    const auto& shm = part.at("mit_shm");
    print_extension(shm, "MIT-SHM", page);
    if (is_available(shm))
        page.detail("shared pixmaps",
                    shm.at("shared_pixmaps").get<bool>() ? "yes" : "no: the server does not offer them");
    if (is_available(shm)) print_needs(part.at("needs"), "needs", page);
    const auto& fds = part.at("fd_passing");
    if (is_available(fds))
        page.line("fd passing", "yes: memory is attached by its fd");
    else
        page.no("fd passing", fds);
    print_extension(part.at("dri3"), "DRI3", page);
    print_extension(part.at("present"), "Present", page);
}

} // namespace info
