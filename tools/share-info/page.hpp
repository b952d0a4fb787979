// SPDX-License-Identifier: MIT
// Page: lines of text in two columns, wrapped, for a person at a terminal.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include <share/result.hpp>

#include "json.hpp"

namespace info {

class Page {
public:
    void heading(std::string_view name);
    /// "  label       text", the text wrapped at spaces into its column.
    void line(std::string_view label, std::string_view text);
    /// The same a step further in: what belongs to the line before.
    void detail(std::string_view label, std::string_view text);
    /// "no: " and the part's reason.
    void no(std::string_view label, const Json& part);
    const std::string& text() const noexcept { return text_; }

private:
    void put(std::size_t indent, std::string_view label, std::string_view text);
    std::string text_;
};

/// "64 MiB", "1.5 GiB", "4096 bytes".
std::string bytes_text(std::uint64_t bytes);
/// As bytes_text, and "no limit" for null.
std::string limit_text(const Json& limit);
std::string plain(const Json& value); ///< a string without quotes, anything else as JSON writes it

std::string format_name(const Json& fourcc); ///< "R8" of "R8  "
/// "XR24 AR24 (linear); YUYV (none)" for objects that have `format` and `modifier`; "" for none.
std::string pairs_text(const Json& pairs);

} // namespace info
