// SPDX-License-Identifier: MIT
#include "needs.hpp"

#include <fmt/format.h>

#include <share/measure.hpp>

namespace info {

namespace {

using share::Need;

Json describe(const share::Requirements& party, Need need) {
    auto bare = party;
    bare.known.clear();
    const auto* known = share::find_known(party, need);
    return {{"need", share::to_string(need)},
            {"text", share::need_text(bare, need)},
            {"restricts", share::has_need(party, need)},
            {"state", known ? Json(share::to_string(known->state)) : Json(nullptr)},
            {"from", known ? known->from : std::string()}};
}

Json counts_of(const share::Requirements& party) {
    Json counts{{"good", 0}, {"bad", 0}, {"unprobeable", 0}};
    for (const auto& choice : party.formats) {
        auto& count = counts[std::string(share::to_string(choice.state))];
        count = count.get<int>() + 1;
    }
    return counts;
}

} // namespace

Json describe_needs(const share::Result<share::Requirements>& party,
                    std::chrono::steady_clock::duration took) {
    if (!party) return missing(party.error());
    Json part = available();
    part["milliseconds"] = std::chrono::duration_cast<std::chrono::milliseconds>(took).count();
    part["device"] = party->device.empty() ? Json(nullptr) : Json(party->device);
    part["handles"] = share::to_string(party->handles);
    part["formats"] = counts_of(*party);
    part["list"] = Json::array();
    for (std::size_t i = 0; i < share::need_count; ++i) {
        const auto need = static_cast<Need>(i);
        if (need == Need::name || need == Need::format) continue;
        if (share::has_need(*party, need) || share::find_known(*party, need))
            part["list"].push_back(describe(*party, need));
    }
    return part;
}

// What was measured and restricts nothing is left to the JSON.
void print_needs(const Json& needs, std::string_view label, Page& page) {
    if (!is_available(needs)) return page.detail(label, "not measured: " + reason_of(needs));
    std::string seen, word;
    for (const auto& need : needs.at("list")) {
        if (!need.at("restricts").get<bool>()) continue;
        auto& text = need.at("state") == "good" ? seen : word;
        text += (text.empty() ? "" : "; ") + plain(need.at("text"));
    }
    page.detail(label,
                fmt::format("{} (measured in {} ms){}{}", seen.empty() ? "nothing special" : seen,
                            needs.at("milliseconds").dump(), word.empty() ? "" : "; by its word: ", word));
}

} // namespace info
