// SPDX-License-Identifier: MIT
// A validator for the part of JSON Schema that our schemas use: type, const, enum, minimum, required,
// properties, additionalProperties, items, oneOf and $ref within the file. A keyword that it does not know is
// an error of the schema, so that nothing is passed over. Thread: any.
#pragma once

#include <string>
#include <vector>

#include <nlohmann/json.hpp>

namespace testing {

/// What is wrong, each as "path: what"; empty for a valid document.
std::vector<std::string> schema_errors(const nlohmann::json& schema, const nlohmann::json& document);

} // namespace testing
