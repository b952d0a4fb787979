// SPDX-License-Identifier: MIT
// Candidate: one way to do it: a format, a layout's rules, a heap, what is handed out and how it is shared.
//
// negotiate() makes Candidates; satisfies() holds any Candidate against one party, and unmet() the parts of
// it that exist already: a piece of memory, a layout. Thread: values and pure functions. Units: as
// requirements.hpp. Errors: of layout_of() only.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <share/api.hpp>
#include <share/heap.hpp>
#include <share/layout.hpp>
#include <share/requirements.hpp>
#include <share/result.hpp>

namespace share {

/// Memory that could be had, as data: a heap of ours, or the buffers that a driver allocates itself.
struct HeapOffer {
    std::string name; ///< as Heap::name()
    Traits traits = {};
    /// The device whose memory this is ("/dev/dri/renderD128"); empty: system memory.
    std::string device = {};
    bool rows = true; ///< lays pixels out in rows (LINEAR)
    /// Its device's driver lays out pictures in any modifier that the parties agree on, or in its implicit
    /// layout. False for all heaps that know bytes only.
    bool driver_layouts = false;
};

/// Sizes that every party can live with. Pixels, and bytes.
struct Limits {
    std::uint32_t min_width = 1, min_height = 1; ///< what must fit
    std::uint32_t max_width = Layout::max_dimension, max_height = Layout::max_dimension;
    std::uint32_t max_stride = UINT32_MAX;
    std::uint64_t max_bytes = Layout::max_size;
};

struct Candidate {
    FormatModifier pair = {};                   ///< format 0: no party has an opinion
    std::string device = {};                    ///< with modifier::none: whose implicit layout it is
    ProbeState state = ProbeState::unprobeable; ///< good: every party that names the pair has measured it
    LayoutRules rules = {};
    Limits limits = {};

    HeapOffer heap = {};
    bool device_only = false;
    /// Sealed against writing (F_SEAL_FUTURE_WRITE) once its writer has mapped it.
    bool sealed = false;
    std::string writer = {};         ///< of sealed memory: the party that can write; empty: none of them
    Exports exports = Exports::none; ///< as what it can be handed out

    Sharing sharing = Sharing::exclusive;
    std::string sharing_by = {}; ///< the party that asked for it; empty: nobody, the default
};

/// What memory of `heap` can be handed out as: a seal against writing leaves only files that know seals.
SHARE_API Exports exports_of(const HeapOffer& heap, bool sealed) noexcept;
/// Is it consistent in itself: can this heap do that, do the smallest pictures keep to the limits?
/// Says nothing of parties.
SHARE_API bool is_possible(const Candidate& candidate);

/// The first need that the candidate does not meet; nothing when it suits the party.
SHARE_API std::optional<Need> unmet(const Requirements& party, const Candidate& candidate);
inline bool satisfies(const Requirements& party, const Candidate& candidate) {
    return !unmet(party, candidate);
}

/// Memory that exists: what registration of foreign memory asks.
struct MemoryFacts {
    Traits traits = {};
    std::string heap = {};   ///< its heap's name; empty: unknown, then a party that names heaps refuses it
    std::string device = {}; ///< as HeapOffer::device
    std::uint64_t size = 0;
    bool sealed = false; ///< nobody but those who have it mapped can write
};
/// The needs that concern memory: size_align (of the memory), contiguity, place, heap, page size, cache,
/// CPU access, writing, handles, read-only.
SHARE_API std::optional<Need> unmet(const Requirements& party, const MemoryFacts& memory);
/// The needs that concern a layout that starts at byte `start` of its memory: format, alignments, sizes.
/// Of tiled and implicit layouts only format and dimensions: the rest is the driver's word.
SHARE_API std::optional<Need> unmet(const Requirements& party, const Layout& layout, std::uint64_t start = 0);

/// How one party takes a candidate.
struct Terms {
    Exports handle = Exports::none; ///< one bit: dma-buf before memfd before SysV; none where it needs none
    std::uint64_t modifier = modifier::linear; ///< to be told to it: none where implicit means linear
    ProbeState state = ProbeState::unprobeable;
    std::string device = {}; ///< the device that prefers this format
};
/// Nothing when the candidate does not suit the party.
SHARE_API std::optional<Terms> terms(const Requirements& party, const Candidate& candidate);

/// The layout of a picture. Errors: limit (a size that a party cannot take), unsupported (a tiled or implicit
/// layout: only its driver knows it), invalid_argument (no format was agreed on: give one to Layout itself).
SHARE_API Result<Layout> layout_of(const Candidate& candidate, std::uint32_t width, std::uint32_t height);
/// For Heap::allocate.
SHARE_API AllocateOptions allocate_options(const Candidate& candidate) noexcept;
/// One line: "XR24 linear in udmabuf, as dma-buf or memfd, stride of 256, exclusive".
SHARE_API std::string describe(const Candidate& candidate);

} // namespace share
