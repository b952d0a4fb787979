// SPDX-License-Identifier: MIT
// The sections of share-info: each collects one object of the document, and prints one that was collected.
//
// collect() runs in a process of its own (isolate.hpp): it may crash, hang or be killed there, and it changes
// nothing for the others. It never throws away a reason. print() sees the document only, so that the text
// says nothing that the JSON does not.
#pragma once

#include <chrono>
#include <span>
#include <string_view>

#include "json.hpp"
#include "page.hpp"

namespace info {

struct Section {
    std::string_view name;
    std::chrono::milliseconds patience; ///< then the collector is killed
    Json (*collect)();
    void (*print)(const Json& part, Page& page); ///< only for parts that are available
};

/// In the order of the document.
std::span<const Section> sections();

/// How long one server may take for all answers; well below its section's patience.
inline constexpr std::chrono::milliseconds server_patience{3000};

Json collect_machine();
void print_machine(const Json& part, Page& page);
Json collect_limits();
void print_limits(const Json& part, Page& page);
Json collect_heaps();
void print_heaps(const Json& part, Page& page);
Json collect_egl();
void print_egl(const Json& part, Page& page);
Json collect_kms();
void print_kms(const Json& part, Page& page);
Json collect_v4l2();
void print_v4l2(const Json& part, Page& page);
Json collect_wayland();
void print_wayland(const Json& part, Page& page);
Json collect_x11();
void print_x11(const Json& part, Page& page);

} // namespace info
