// SPDX-License-Identifier: MIT
// The document that share-info makes, and the two shapes that every part of it has.
// Its schema is docs/share-info.md; whoever changes a member's name or meaning raises schema_version.
#pragma once

#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include <share/result.hpp>

namespace info {

using Json = nlohmann::ordered_json; ///< members stay in the order in which a person wants to read them

inline constexpr int schema_version = 1;

/// A part that is there; its members follow.
inline Json available() {
    return Json{{"available", true}};
}
/// A part that is not there, and why; what the user can do is in the reason.
inline Json missing(std::string_view reason) {
    return Json{{"available", false}, {"reason", reason}};
}
inline Json missing(const share::Error& error) {
    return missing(error.text());
}
inline bool is_available(const Json& part) {
    return part.value("available", false);
}
inline std::string reason_of(const Json& part) {
    return part.value("reason", std::string());
}

} // namespace info
