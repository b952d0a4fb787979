// SPDX-License-Identifier: MIT
#include <share/requirements.hpp>

#include <algorithm>
#include <array>
#include <utility>

#include <fmt/format.h>

namespace share {
namespace {

const Requirements anything{};

std::string pair_text(const FormatModifier& pair) {
    const std::string layout =
        pair.modifier == modifier::none ? "without modifier" : modifier_text(pair.modifier);
    return fmt::format("{} {}", fourcc_text(pair.format), layout);
}

std::string choice_text(const FormatChoice& choice) {
    std::string text = fmt::format("{} ({}", pair_text(choice.pair), to_string(choice.state));
    if (choice.implicit_is_linear && choice.pair.modifier == modifier::none) text += ", which means linear";
    if (!choice.device.empty()) text += fmt::format(", for {}", choice.device);
    if (!choice.from.empty()) text += fmt::format(": {}", choice.from);
    return text + ")";
}

/// The first few: a GPU's list has hundreds.
template<typename T, typename Text>
std::string list_text(const std::vector<T>& list, Text text) {
    constexpr std::size_t shown = 6;
    std::string out;
    for (std::size_t i = 0; i < std::min(list.size(), shown); ++i)
        out += fmt::format("{}{}", out.empty() ? "" : ", ", text(list[i]));
    if (list.size() > shown) out += fmt::format(" and {} more", list.size() - shown);
    return out;
}

std::string place_text(const Requirements& r) {
    if (r.place == Place::system) return "system memory, no device's own";
    return fmt::format("memory of {}",
                       r.place_device.empty() ? "a device that it does not name" : r.place_device);
}

std::string cpu_text(const Requirements& r) {
    std::string text = "a CPU mapping";
    if (r.cpu_read != Pattern::none) text += fmt::format(", {} reads", to_string(r.cpu_read));
    if (r.cpu_write != Pattern::none) text += fmt::format(", {} writes", to_string(r.cpu_write));
    return text;
}

std::string cache_text(CacheChoice cache) {
    return cache == CacheChoice::cached ? "memory that the CPU caches" : "write-combined memory";
}

std::string sharing_text(const Requirements& r) {
    return r.sharing == Sharing::consistent ? "consistent sharing: mapped by several at once, for ever"
                                            : "exclusive sharing: one writer at a time";
}

std::string handle_text(Exports handles) {
    if (handles == Exports::none) return "no handle: it has the memory already";
    std::string text;
    for (const Exports kind : {Exports::dmabuf, Exports::memfd, Exports::sysv})
        if (contains(handles, kind))
            text += fmt::format("{}{}", text.empty() ? "a " : " or ", to_string(kind));
    return text + " as its handle";
}

std::string align_text(std::string_view what, std::uint32_t align) {
    return fmt::format("{} that is a multiple of {}", what, align);
}

std::string bare_text(const Requirements& r, Need need) {
    switch (need) {
    case Need::name:
        return fmt::format("the name '{}'", r.party);
    case Need::format:
        if (!r.formats.empty()) return list_text(r.formats, choice_text);
        return r.device.empty() ? "any format" : "any format, in no other device's implicit layout";
    case Need::stride:
        return align_text("a stride", r.stride_align);
    case Need::offset:
        return align_text("a plane offset", r.offset_align);
    case Need::size:
        return align_text("a size", r.size_align);
    case Need::height_padding:
        return fmt::format("rows padded to a multiple of {}", r.height_align);
    case Need::planes:
        return "planes that follow one another without gaps";
    case Need::picture:
        return fmt::format("a picture of {}x{}", r.min_width, r.min_height);
    case Need::max_picture:
        return fmt::format("at most {}x{} pixels", r.max_width, r.max_height);
    case Need::max_stride:
        return fmt::format("a stride of at most {} bytes", r.max_stride);
    case Need::max_bytes:
        return fmt::format("at most {} bytes in all", r.max_bytes);
    case Need::contiguity:
        return "physically contiguous memory";
    case Need::place:
        return place_text(r);
    case Need::heap:
        return fmt::format("memory of {}", list_text(r.heaps, [](const std::string& name) { return name; }));
    case Need::page_size:
        return fmt::format("pages of at least {} bytes", r.page_size);
    case Need::cache:
        return cache_text(r.cache);
    case Need::device_only:
        return "memory that no CPU maps";
    case Need::cpu_access:
        return cpu_text(r);
    case Need::writing:
        return r.cpu_write != Pattern::none ? "to write (its CPU)" : "to write (its device)";
    case Need::handle:
        return handle_text(r.handles);
    case Need::read_only:
        return "memory that its peers cannot write (F_SEAL_FUTURE_WRITE, so no udmabuf)";
    case Need::sharing:
        return sharing_text(r);
    }
    return "an unknown need";
}

constexpr std::array<std::string_view, need_count> need_names{
    "name",       "format",      "stride",
    "offset",     "size",        "height padding",
    "planes",     "picture",     "max picture",
    "max stride", "max bytes",   "contiguity",
    "place",      "heap",        "page size",
    "cache",      "device-only", "CPU access",
    "writing",    "handle",      "read-only to peers",
    "sharing",
};

} // namespace

std::string_view to_string(Pattern pattern) noexcept {
    return pattern == Pattern::sequential ? "sequential" : pattern == Pattern::random ? "random" : "none";
}

std::string_view to_string(Need need) noexcept {
    const auto i = static_cast<std::size_t>(need);
    return i < need_names.size() ? need_names[i] : "unknown";
}

bool has_need(const Requirements& r, Need need) noexcept {
    const Requirements& none = anything;
    switch (need) {
    case Need::name:
        return !r.party.empty();
    case Need::format:
        return !r.formats.empty() || !r.device.empty();
    case Need::stride:
        return r.stride_align != none.stride_align;
    case Need::offset:
        return r.offset_align != none.offset_align;
    case Need::size:
        return r.size_align != none.size_align;
    case Need::height_padding:
        return r.height_align != none.height_align;
    case Need::planes:
        return r.planes_follow;
    case Need::picture:
        return r.min_width > none.min_width || r.min_height > none.min_height;
    case Need::max_picture:
        return r.max_width < none.max_width || r.max_height < none.max_height;
    case Need::max_stride:
        return r.max_stride < none.max_stride;
    case Need::max_bytes:
        return r.max_bytes < none.max_bytes;
    case Need::contiguity:
        return r.contiguous;
    case Need::place:
        return r.place != Place::any;
    case Need::heap:
        return !r.heaps.empty();
    case Need::page_size:
        return r.page_size > none.page_size;
    case Need::cache:
        return r.cache != CacheChoice::any;
    case Need::device_only:
        return r.device_only;
    case Need::cpu_access:
        return r.uses_cpu();
    case Need::writing:
        return r.writes();
    case Need::handle:
        return r.handles != any_handle;
    case Need::read_only:
        return r.read_only_to_peers;
    case Need::sharing:
        return r.sharing.has_value();
    }
    return false;
}

Requirements without(Requirements r, Need need) {
    const Requirements& none = anything;
    switch (need) {
    case Need::name:
        break;
    case Need::format:
        r.formats.clear();
        r.device.clear();
        break;
    case Need::stride:
        r.stride_align = none.stride_align;
        break;
    case Need::offset:
        r.offset_align = none.offset_align;
        break;
    case Need::size:
        r.size_align = none.size_align;
        break;
    case Need::height_padding:
        r.height_align = none.height_align;
        break;
    case Need::planes:
        r.planes_follow = false;
        break;
    case Need::picture:
        r.min_width = none.min_width, r.min_height = none.min_height;
        break;
    case Need::max_picture:
        r.max_width = none.max_width, r.max_height = none.max_height;
        break;
    case Need::max_stride:
        r.max_stride = none.max_stride;
        break;
    case Need::max_bytes:
        r.max_bytes = none.max_bytes;
        break;
    case Need::contiguity:
        r.contiguous = false;
        break;
    case Need::place:
        r.place = Place::any;
        break;
    case Need::heap:
        r.heaps.clear();
        break;
    case Need::page_size:
        r.page_size = none.page_size;
        break;
    case Need::cache:
        r.cache = CacheChoice::any;
        break;
    case Need::device_only:
        r.device_only = false;
        break;
    case Need::cpu_access:
        r.device_writes = r.writes();
        r.cpu_read = r.cpu_write = Pattern::none;
        break;
    case Need::writing:
        r.cpu_read = std::max(r.cpu_read, r.cpu_write);
        r.cpu_write = Pattern::none;
        r.device_writes = false;
        break;
    case Need::handle:
        r.handles = any_handle;
        break;
    case Need::read_only:
        r.read_only_to_peers = false;
        break;
    case Need::sharing:
        r.sharing.reset();
        break;
    }
    std::erase_if(r.known, [&](const Known& known) { return known.need == need; });
    return r;
}

std::string need_text(const Requirements& r, Need need) {
    std::string text = bare_text(r, need);
    for (const Known& known : r.known)
        if (known.need == need) text += fmt::format(" ({}: {})", to_string(known.state), known.from);
    return text;
}

std::string describe(const Requirements& r) {
    std::string text = r.party.empty() ? std::string("a party without a name") : r.party;
    text += fmt::format(" ({}):", r.device.empty() ? "CPU" : r.device);
    bool any = false;
    for (std::size_t i = 1; i < need_count; ++i) { // not the name
        if (!has_need(r, static_cast<Need>(i))) continue;
        text += fmt::format("\n  {}", need_text(r, static_cast<Need>(i)));
        any = true;
    }
    return any ? text : text + "\n  anything";
}

} // namespace share
