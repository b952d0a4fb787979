// SPDX-License-Identifier: MIT
// Collecting each section in a child process: a driver that crashes or hangs costs its own section.
//
// What the libraries and drivers print meanwhile becomes "messages" of the section. Thread: the caller is the
// only one. Errors: none; what went wrong is the reason of the section.
#pragma once

#include <span>

#include "sections.hpp"

namespace info {

/// One object a section, in their order. Returns when all have answered or used up their patience.
std::vector<Json> collect_apart(std::span<const Section* const> sections);

} // namespace info
