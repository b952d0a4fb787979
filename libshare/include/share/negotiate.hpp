// SPDX-License-Identifier: MIT
// negotiate(): the Requirements of several parties and the memory of a machine make an Agreement, which suits
// every party as it stands, or a Conflict, which names two parties and the two needs that cannot both be met.
//
// Pure: the same data gives the same answer, on any machine. The order of the parties changes nothing.
// Thread: any. Cost: grows with the number of formats in all lists, and with formats x heaps of the answer.
// Source: linux-dmabuf-v1 (feedback), drm_fourcc.h (modifiers), memfd_create(2) (seals).
//
// "No modifier" is a case of its own: the implicit layout of one driver. It is agreed on only where every
// party that names formats names it for the same device, and the memory is that device's. It never stands for
// LINEAR and LINEAR never for it, but where a party says that it reads rows right when told no modifier
// (FormatChoice::implicit_is_linear): then LINEAR is agreed on, and Terms say what this party is told.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include <share/api.hpp>
#include <share/candidate.hpp>
#include <share/heap.hpp>
#include <share/requirements.hpp>

namespace share {

/// Why a candidate stands where it stands: the first of these, from top to bottom, in which it is worse than
/// the one before it.
enum class Criterion : std::uint8_t {
    best,        ///< the first
    cpu_cost,    ///< the CPU would read or write memory that is not known to be cached
    format_rank, ///< the parties' lists put the format later (sum of places over all parties)
    heap_rank,   ///< the parties' lists put the heap later
    state,       ///< somebody has not measured it
    layout,      ///< LINEAR before an implicit layout
    pinned,      ///< swappable memory before memory that is always pinned
    offer_rank,  ///< the machine's list of heaps puts it later
    name,        ///< equal in all of these: by the code of the format
};

/// What decided a part of the agreement, and who.
struct Decision {
    std::string party;
    Need need = Need::name;
    std::string text; ///< "a stride that is a multiple of 256 (good: tried with strides ...)"
};

struct Agreement {
    struct Choice {
        Candidate candidate;
        Criterion because = Criterion::best;
    };
    std::vector<Choice> choices; ///< best first; never empty
    std::vector<Decision> decisions;
    const Candidate& best() const noexcept { return choices.front().candidate; }
};

/// A need that takes part in a conflict.
struct Claim {
    std::string party; ///< "this machine" for what its heaps cannot do
    Need need = Need::name;
    std::string text;
};

/// Claims that cannot all be met, of which none can be left out: without any one of them the rest has an
/// agreement. Mostly two. Where more are needed although any two agree (a takes XR24 or NV12, b NV12 or YU12,
/// c XR24 or YU12), `a` and `b` are the first and the last by name, and `others` holds the rest: b is
/// what closes the ring. A party may stand in conflict with itself.
struct Conflict {
    Claim a, b;
    std::vector<Claim> others;
};

using Negotiation = std::variant<Agreement, Conflict>;

/// `heaps` in the machine's order of preference.
SHARE_API Negotiation negotiate(std::span<const Requirements> parties, std::span<const HeapOffer> heaps);

/// In words: what was agreed, who decided what, and the candidates with their reasons; or who conflicts.
SHARE_API std::string describe(const Agreement& agreement);
SHARE_API std::string describe(const Conflict& conflict);
/// "the parties' lists put its format later".
SHARE_API std::string_view to_string(Criterion criterion) noexcept;

/// The available heaps of a table, as data.
SHARE_API std::vector<HeapOffer> offers_of(const HeapTable& heaps);
/// Memory of the best candidate that can really be had, for a picture of this size.
struct Allocated {
    Candidate candidate;
    Layout layout;
    std::shared_ptr<Memory> memory;
};
/// Tries the candidates in their order. Errors: the first candidate's, with every other reason in its detail;
/// unsupported for a sealed one (read_only_to_peers): no heap makes memory that can be sealed later.
SHARE_API Result<Allocated> allocate(const Agreement& agreement, const HeapTable& heaps, std::uint32_t width,
                                     std::uint32_t height, std::string_view name);

} // namespace share
