// SPDX-License-Identifier: MIT
// Agreements and conflicts in words, and who decided what.
#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "solve/solver.hpp"

namespace share {
namespace {

/// How much a party asks for, so that the one who decided is found; 0: nothing. Needs that are wishes about
/// kinds, not amounts, are 1.
std::uint64_t strength(const Requirements& r, Need need) noexcept {
    if (!has_need(r, need)) return 0;
    switch (need) {
    case Need::stride:
        return r.stride_align;
    case Need::offset:
        return r.offset_align;
    case Need::size:
        return r.size_align;
    case Need::height_padding:
        return r.height_align;
    case Need::picture:
        return std::uint64_t{r.min_width} * r.min_height;
    case Need::max_picture:
        return UINT64_MAX - std::uint64_t{r.max_width} * r.max_height;
    case Need::max_stride:
        return UINT64_MAX - r.max_stride;
    case Need::max_bytes:
        return UINT64_MAX - r.max_bytes;
    case Need::page_size:
        return r.page_size;
    default:
        return 1;
    }
}

std::string claim_text(const Claim& claim) {
    const bool has = claim.party == "this machine" || claim.party == "libshare";
    return fmt::format("{} {} {}", claim.party, has ? "has" : "wants", claim.text);
}

/// Nobody needs to read a hundred of them.
constexpr std::size_t shown_choices = 8;

} // namespace

std::vector<Decision> solve::decisions(Parties sorted) {
    constexpr std::array deciding{Need::stride,    Need::offset,     Need::size,        Need::height_padding,
                                  Need::planes,    Need::picture,    Need::max_picture, Need::max_stride,
                                  Need::max_bytes, Need::contiguity, Need::place,       Need::heap,
                                  Need::page_size, Need::cache,      Need::device_only, Need::read_only,
                                  Need::sharing};
    std::vector<Decision> list;
    for (const Need need : deciding) {
        const auto first = std::max_element(sorted.begin(), sorted.end(), [&](const auto* a, const auto* b) {
            return strength(*a, need) < strength(*b, need);
        });
        if (first != sorted.end() && strength(**first, need) > 0)
            list.push_back({(*first)->party, need, need_text(**first, need)});
    }
    return list;
}

std::string_view to_string(Criterion criterion) noexcept {
    switch (criterion) {
    case Criterion::best:
        return "the best by the parties' own order";
    case Criterion::cpu_cost:
        return "its memory costs the CPU more";
    case Criterion::format_rank:
        return "the parties' lists have its format later";
    case Criterion::heap_rank:
        return "the parties' lists have its heap later";
    case Criterion::state:
        return "somebody has not measured it";
    case Criterion::layout:
        return "its layout is one driver's secret";
    case Criterion::pinned:
        return "its memory is always pinned";
    case Criterion::offer_rank:
        return "this machine's list has its heap later";
    case Criterion::name:
        return "as good as the one before";
    }
    return "unknown";
}

std::string describe(const Agreement& agreement) {
    std::string text;
    for (const Decision& decision : agreement.decisions)
        text += fmt::format("{} decided: {}\n", decision.party, decision.text);
    const std::size_t count = agreement.choices.size();
    for (std::size_t i = 0; i < std::min(count, shown_choices); ++i)
        text += fmt::format("{}. {}\n   {}\n", i + 1, describe(agreement.choices[i].candidate),
                            to_string(agreement.choices[i].because));
    if (count > shown_choices) text += fmt::format("and {} more\n", count - shown_choices);
    if (!text.empty()) text.pop_back();
    return text;
}

std::string describe(const Conflict& conflict) {
    if (conflict.a.need == Need::name)
        return fmt::format("two parties have {}; give each its own", conflict.a.text);
    std::string text = claim_text(conflict.a);
    for (const Claim& claim : conflict.others)
        text += fmt::format(", {}", claim_text(claim));
    text += fmt::format(", {}: ", claim_text(conflict.b));
    return text + (conflict.others.empty()
                       ? "not both can be had here"
                       : "not all can be had here, though without any one of them the rest can");
}

} // namespace share
