// SPDX-License-Identifier: MIT
// Requirements as JSON and back. Reading believes nothing: every value is checked for type and range.
// Thread: pure functions.
#pragma once

#include <optional>

#include <nlohmann/json_fwd.hpp>

#include <share/requirements.hpp>

namespace share::solve {

/// Without party and device.
nlohmann::json to_json(const Requirements& requirements);
/// Nothing when anything is wrong with it: a type, a range, a word, a list that is too long. A value that is
/// missing is the default.
std::optional<Requirements> from_json(const nlohmann::json& json);

} // namespace share::solve
