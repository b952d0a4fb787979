// SPDX-License-Identifier: MIT
// What a party needs of memory and layout, as the document and the page have it: for every section alike.
#pragma once

#include <chrono>
#include <string_view>

#include <share/requirements.hpp>

#include "json.hpp"
#include "page.hpp"

namespace info {

/// How long one party may be measured; well below its section's patience.
inline constexpr std::chrono::milliseconds needs_patience{3000};

/// `measure` gives Result<Requirements>; how long it took is told.
Json describe_needs(const share::Result<share::Requirements>& party,
                    std::chrono::steady_clock::duration took);
template<class Measure>
Json needs_of(Measure measure) {
    const auto begin = std::chrono::steady_clock::now();
    const auto party = measure();
    return describe_needs(party, std::chrono::steady_clock::now() - begin);
}

void print_needs(const Json& needs, std::string_view label, Page& page);

} // namespace info
