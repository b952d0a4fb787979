// SPDX-License-Identifier: MIT
#include <algorithm>
#include <array>
#include <cstdio>
#include <cstring>

#include <fmt/format.h>

#include <share/heap.hpp>
#include <share/pages.hpp>
#ifdef SHARE_INFO_EGL
#include <share/egl/gbm_heap.hpp>
#endif
#ifdef SHARE_INFO_KMS
#include <share/kms/dumb_heap.hpp>
#endif

#include "isolate.hpp"
#include "limits.hpp"
#include "sections.hpp"

namespace info {

namespace {

Json exports_of(share::Exports set) {
    Json list = Json::array();
    for (const auto one : {share::Exports::dmabuf, share::Exports::memfd, share::Exports::sysv})
        if (contains(set, one)) list.push_back(to_string(one));
    return list;
}

Json privilege_of(const share::Heap& heap) {
    const auto privilege = heap.privilege();
    const bool none = privilege.kind == share::Privilege::Kind::none;
    return {{"kind", to_string(privilege.kind)}, {"path", none ? Json(nullptr) : Json(privilege.path)}};
}

/// Measured where huge pages are promised or hoped for: how one huge page's bytes are mapped once written.
/// null where there are none, or where one would take too much of the machine for a question.
Json huge_pages_of(share::Heap& heap) {
    const auto traits = heap.traits();
    const std::size_t page = std::max(traits.page_size, traits.largest_page);
    if (traits.kind == share::MemoryKind::dmabuf || page <= 16384 || page > (std::size_t{32} << 20U))
        return nullptr;
    auto memory = heap.allocate(page, "share-info");
    if (!memory) return missing(memory.error());
    auto view = (*memory)->view(share::Access::read_write);
    if (!view) return missing(view.error());
    std::memset(view->data(), 0, view->size());
    auto report = share::page_report(**memory);
    if (!report) return missing(report.error());
    Json part = available();
    part["touched"] = report->resident;
    part["in_huge_pages"] = report->huge;
    return part;
}

/// Measured, not believed: one page of this heap as a dma-buf.
Json dmabuf_of(share::Heap& heap) {
    auto memory = heap.allocate(1, "share-info");
    if (!memory) return missing(memory.error());
    auto dmabuf = (*memory)->export_dmabuf(0, (*memory)->size());
    return dmabuf ? available() : missing(dmabuf.error());
}

/// Bytes that one allocation (or one dma-buf of it) may have; null: no limit but memory.
Json size_limit(std::string_view heap) {
    if (heap == "sysv") return sysv_limit();
    if (heap != "udmabuf") return nullptr;
    const auto limits = udmabuf_limits();
    return is_available(limits) ? Json(limits.at("size_limit_mb").get<std::uint64_t>() << 20) : Json(nullptr);
}

Json describe(const share::HeapTable::Entry& entry) {
    Json part = entry.heap ? available() : missing(entry.reason);
    part["name"] = entry.name;
    if (!entry.heap) return part;
    const auto traits = entry.heap->traits();
    part["kind"] = share::to_string(traits.kind);
    part["contiguous"] = to_string(traits.contiguous);
    part["cache"] = to_string(traits.cache);
    part["cache_source"] = to_string(traits.cache_source);
    part["page_size"] = traits.page_size;
    part["largest_page"] = traits.largest_page ? Json(traits.largest_page) : Json(nullptr);
    part["huge_pages"] = huge_pages_of(*entry.heap);
    part["exports"] = exports_of(traits.exports);
    part["swappable"] = traits.swappable;
    part["mappable"] = traits.mappable;
    part["device_only"] = !traits.needs_mapping;
    part["can_shrink"] = traits.can_shrink;
    part["privilege"] = privilege_of(*entry.heap);
    part["size_limit"] = size_limit(entry.name);
    part["dmabuf"] = dmabuf_of(*entry.heap);
    return part;
}

std::string traits_text(const Json& heap) {
    const auto contiguous = heap.at("contiguous").get<std::string>();
    const auto cache = heap.at("cache").get<std::string>();
    const auto largest = heap.at("largest_page");
    return fmt::format("yes: {}, {}, {}, pages of {}{}, {}{}", plain(heap.at("kind")),
                       contiguous == "yes"  ? "contiguous"
                       : contiguous == "no" ? "scattered"
                                            : "perhaps contiguous",
                       cache == "unknown" ? "caching unknown"
                                          : fmt::format("{} ({})", cache, plain(heap.at("cache_source"))),
                       bytes_text(heap.at("page_size")),
                       largest.is_null() ? "" : fmt::format(" (up to {})", bytes_text(largest)),
                       heap.at("swappable").get<bool>() ? "swappable" : "not swappable",
                       heap.at("mappable").get<bool>() ? "" : ", not mappable");
}

std::string list_text(const Json& list) {
    std::string text;
    for (const auto& item : list)
        text += (text.empty() ? "" : ", ") + plain(item);
    return text;
}

void print_traits(const Json& heap, Page& page) {
    page.detail("exports", list_text(heap.at("exports")));
    const auto& privilege = heap.at("privilege");
    if (!privilege.at("path").is_null())
        page.detail("needs", fmt::format("{} {}", plain(privilege.at("kind")), plain(privilege.at("path"))));
    if (!heap.at("device_only").get<bool>())
        page.detail("device-only", "no: it exists only while it is mapped");
    const auto& huge = heap.at("huge_pages");
    if (!huge.is_null())
        page.detail("huge pages", is_available(huge)
                                      ? fmt::format("{} of {} touched", bytes_text(huge.at("in_huge_pages")),
                                                    bytes_text(huge.at("touched")))
                                      : "no: " + reason_of(huge));
    if (!heap.at("size_limit").is_null())
        page.detail("size", fmt::format("up to {} a buffer", limit_text(heap.at("size_limit"))));
}

Json describe_all(const share::HeapTable& table) {
    Json list = Json::array();
    for (const auto& entry : table.entries())
        list.push_back(describe(entry));
    return list;
}

#ifdef SHARE_INFO_EGL
Json collect_gbm() {
    share::HeapTable table;
    share::egl::add_gbm_heaps(table);
    Json part = available();
    part["table"] = describe_all(table);
    return part;
}

/// In a process of its own: a whole driver is loaded for it, which may crash, and costs this heap only.
void add_gbm(Json& table) {
    constexpr Section gbm{"gbm", std::chrono::seconds(20), collect_gbm, nullptr};
    const std::array<const Section*, 1> asked{&gbm};
    Json part = collect_apart(asked).front();
    for (const auto& message : part.value("messages", Json::array()))
        fmt::print(stderr, "{}\n", plain(message)); // ours are collected too
    std::fflush(stderr);
    if (is_available(part)) {
        for (auto& heap : part.at("table"))
            table.push_back(std::move(heap));
        return;
    }
    Json failed = missing(reason_of(part));
    failed["name"] = "gbm";
    table.push_back(std::move(failed));
}
#endif

} // namespace

Json collect_heaps() {
    Json part = available();
    auto table = share::HeapTable::probe();
#ifdef SHARE_INFO_KMS
    share::kms::add_dumb_heaps(table);
#endif
    part["table"] = describe_all(table);
#ifdef SHARE_INFO_EGL
    add_gbm(part["table"]);
#endif
    return part;
}

void print_heaps(const Json& part, Page& page) {
    for (const auto& heap : part.at("table")) {
        const auto name = heap.at("name").get<std::string>();
        if (!is_available(heap)) {
            page.no(name, heap);
            continue;
        }
        page.line(name, traits_text(heap));
        print_traits(heap, page);
        const auto& dmabuf = heap.at("dmabuf");
        page.detail("dma-buf", is_available(dmabuf) ? "yes, made one" : "no: " + reason_of(dmabuf));
    }
}

} // namespace info
