// SPDX-License-Identifier: MIT
// Pictures rewritten in the format of a window that has another one. Thread: any.
#pragma once

#include <share/buffer.hpp>

namespace share::x11 {

/// True when pixels of `from` are those of `to` as they stand: an X byte takes any value.
bool same_bytes(Fourcc from, Fourcc to) noexcept;
/// True when convert() can do it: from XRGB8888, and from ARGB8888 where `to` has no alpha.
bool converts(Fourcc from, Fourcc to) noexcept;
/// The whole picture; both mappings of the same width and height, their formats as converts() says.
void convert(const Mapping& from, const Mapping& to) noexcept;

} // namespace share::x11
