// SPDX-License-Identifier: MIT
// Requirements: what one party of a stream can work with, as plain data. The default is "anything".
//
// A party is whatever touches the bytes or passes them on: a camera, a decoder, a renderer, a display, a
// peer process. Several of them, and the memory of a machine, make an Agreement or a Conflict
// (negotiate.hpp). What was measured says so in one of three states and tells where that is known from.
// Units: pixels for width and height, bytes for everything else. Thread: values. Errors: none; a need that
// nobody could meet (an alignment of 48) is no error but a conflict.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <share/api.hpp>
#include <share/format.hpp>
#include <share/heap.hpp>
#include <share/layout.hpp>
#include <share/memory.hpp>
#include <share/probe.hpp>
#include <share/sharing.hpp>

namespace share {

/// What a need is about: one for each field, or pair of fields, of Requirements.
enum class Need : std::uint8_t {
    name,           ///< party: different names for the parties of one negotiation
    format,         ///< formats, and the device that they are for
    stride,         ///< stride_align
    offset,         ///< offset_align
    size,           ///< size_align
    height_padding, ///< height_align
    planes,         ///< planes_follow
    picture,        ///< min_width, min_height
    max_picture,    ///< max_width, max_height
    max_stride,
    max_bytes,
    contiguity, ///< contiguous
    place,      ///< place, place_device
    heap,       ///< heaps
    page_size,
    cache,
    device_only,
    cpu_access, ///< cpu_read, cpu_write
    writing,    ///< device_writes, and a cpu_write: the party changes the bytes
    handle,     ///< handles
    read_only,  ///< read_only_to_peers
    sharing,
};
inline constexpr std::size_t need_count = 22;
/// "stride", "read-only to peers": the key of a need in files and texts.
SHARE_API std::string_view to_string(Need need) noexcept;

/// How a CPU goes over the bytes. Reading uncached memory costs ten times and more, in random order most.
enum class Pattern : std::uint8_t { none, sequential, random };
SHARE_API std::string_view to_string(Pattern pattern) noexcept;

enum class Place : std::uint8_t {
    any,
    system, ///< memory that belongs to no device: memfd, udmabuf, the system dma-heap
    device, ///< memory that place_device itself allocates or scans out from
};

/// A format with its layout that a party takes. Listed twice, the first that is not bad counts.
struct FormatChoice {
    FormatModifier pair;
    /// Bad ones stay in the list with the reason, and are never agreed on.
    ProbeState state = ProbeState::unprobeable;
    /// Which GPU or node prefers it, where that is not the party's own device: a compositor's feedback names
    /// one for each tranche.
    std::string device = {};
    /// Only for modifier::none: rows one after the other, given to this party without a modifier, are read
    /// right: because it is software, or because that was measured with such a buffer. Then LINEAR suits it
    /// too, and it is told no modifier (Terms::modifier).
    bool implicit_is_linear = false;
    /// Where the state is known from, or why it is bad: "sampled on radeonsi 25.0.7".
    std::string from = {};
};

/// Where a need is known from.
struct Known {
    Need need = Need::name;
    /// good: the value was tried and the next weaker one failed. unprobeable: the party's word.
    ProbeState state = ProbeState::unprobeable;
    std::string from;
};

inline constexpr Exports any_handle = Exports::dmabuf | Exports::memfd | Exports::sysv;

struct Requirements {
    /// For a person: "camera", "weston". Different for all parties of one negotiation.
    std::string party;
    /// The device that touches the pixels, by one name everywhere ("/dev/dri/renderD128"); empty: a CPU.
    std::string device = {};

    /// Best first. Empty: no opinion; but a device takes no other device's implicit layout.
    std::vector<FormatChoice> formats = {};

    /// Alignments: powers of two; 1 is no wish. Offsets are those of the planes.
    std::uint32_t stride_align = 1, offset_align = 1;
    std::uint32_t height_align = 1; ///< rows that exist beyond the last visible one
    std::uint32_t size_align = 1;   ///< of the whole buffer
    /// Strides and offsets of the later planes follow from the first one's, without gaps: all that APIs with
    /// one stride can say (V4L2's single-planar formats). Suits everybody else.
    bool planes_follow = false;

    /// What it has or wants to see, so that limits of others can be held against it.
    std::uint32_t min_width = 1, min_height = 1;
    std::uint32_t max_width = Layout::max_dimension, max_height = Layout::max_dimension;
    std::uint32_t max_stride = UINT32_MAX;
    std::uint64_t max_bytes = Layout::max_size;

    bool contiguous = false; ///< physically; "unknown" is not enough
    Place place = Place::any;
    std::string place_device = {};
    /// Heaps by name, best first; a '*' at the end stands for any rest ("dma-heap:*"). Empty: any.
    std::vector<std::string> heaps = {};
    std::size_t page_size = 1; ///< pages at least this large, by promise (Traits::page_size)
    CacheChoice cache = CacheChoice::any;
    bool device_only = false; ///< no CPU mapping by anybody, ever

    Pattern cpu_read = Pattern::none, cpu_write = Pattern::none;
    bool device_writes = false;

    /// Any one of these suits it. none: it needs no handle, having the memory in its own process.
    Exports handles = any_handle;
    /// Its peers can never change the bytes: F_SEAL_FUTURE_WRITE, which no udmabuf can be made of.
    bool read_only_to_peers = false;
    /// Nothing: what the others decide, else exclusive.
    std::optional<Sharing> sharing = std::nullopt;

    /// For people and caches: negotiate() goes by the values alone, whatever state they are in.
    std::vector<Known> known = {};

    bool uses_cpu() const noexcept { return cpu_read != Pattern::none || cpu_write != Pattern::none; }
    bool writes() const noexcept { return device_writes || cpu_write != Pattern::none; }
};

/// True when `need` is more than "anything".
SHARE_API bool has_need(const Requirements& requirements, Need need) noexcept;
/// The same party without that need. Without `writing`, a CPU reads where it wrote; without `cpu_access`, a
/// device writes where the CPU did. The name stays.
SHARE_API Requirements without(Requirements requirements, Need need);
/// One need in words, with where it is known from: "a stride that is a multiple of 256 (measured: ...)".
SHARE_API std::string need_text(const Requirements& requirements, Need need);
/// Name and all needs in words, one a line.
SHARE_API std::string describe(const Requirements& requirements);

} // namespace share
