// SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include <share/heap.hpp>
#ifdef SHARE_INFO_KMS
#include <share/kms/dumb_heap.hpp>
#endif

#include "limits.hpp"
#include "sections.hpp"

namespace info {

namespace {

std::string_view word(share::Tristate state) {
    return state == share::Tristate::yes ? "yes" : state == share::Tristate::no ? "no" : "unknown";
}

std::string_view word(share::CachePolicy policy) {
    using enum share::CachePolicy;
    return policy == cached ? "cached" : policy == write_combined ? "write-combined" : "unknown";
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
    part["contiguous"] = word(traits.contiguous);
    part["cache"] = word(traits.cache);
    part["page_size"] = traits.page_size;
    part["swappable"] = traits.swappable;
    part["mappable"] = traits.mappable;
    part["size_limit"] = size_limit(entry.name);
    part["dmabuf"] = dmabuf_of(*entry.heap);
    return part;
}

std::string traits_text(const Json& heap) {
    const auto contiguous = heap.at("contiguous").get<std::string>();
    const auto cache = heap.at("cache").get<std::string>();
    return fmt::format("yes: {}, {}, {}, pages of {}, {}{}", plain(heap.at("kind")),
                       contiguous == "yes"  ? "contiguous"
                       : contiguous == "no" ? "scattered"
                                            : "perhaps contiguous",
                       cache == "unknown" ? "caching unknown" : cache, bytes_text(heap.at("page_size")),
                       heap.at("swappable").get<bool>() ? "swappable" : "not swappable",
                       heap.at("mappable").get<bool>() ? "" : ", not mappable");
}

} // namespace

Json collect_heaps() {
    Json part = available();
    part["table"] = Json::array();
    auto table = share::HeapTable::probe();
#ifdef SHARE_INFO_KMS
    share::kms::add_dumb_heaps(table);
#endif
    for (const auto& entry : table.entries())
        part["table"].push_back(describe(entry));
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
        if (!heap.at("size_limit").is_null())
            page.detail("size", fmt::format("up to {} a buffer", limit_text(heap.at("size_limit"))));
        const auto& dmabuf = heap.at("dmabuf");
        page.detail("dma-buf", is_available(dmabuf) ? "yes, made one" : "no: " + reason_of(dmabuf));
    }
}

} // namespace info
