// SPDX-License-Identifier: MIT
#include <array>
#include <string_view>

#include <fmt/format.h>

#include <share/x11/connection.hpp>

namespace share::x11 {

namespace {

constexpr std::array<std::string_view, 18> core_errors = {
    "",          "BadRequest", "BadValue",          "BadWindow", "BadPixmap",
    "BadAtom",   "BadCursor",  "BadFont",           "BadMatch",  "BadDrawable",
    "BadAccess", "BadAlloc",   "BadColormap",       "BadGC",     "BadIDChoice",
    "BadName",   "BadLength",  "BadImplementation",
};

} // namespace

std::string error_text(const xcb_generic_error_t& error) {
    const auto request = error.minor_code != 0 ? fmt::format("{}.{}", error.major_code, error.minor_code)
                                               : fmt::format("{}", error.major_code);
    if (error.error_code > 0 && error.error_code < core_errors.size())
        return fmt::format("{} (request {}, resource 0x{:x})", core_errors[error.error_code], request,
                           error.resource_id);
    return fmt::format("extension error {} (request {}, resource 0x{:x})", error.error_code, request,
                       error.resource_id);
}

} // namespace share::x11
