// SPDX-License-Identifier: MIT
#include "exif.hpp"

#include <cstdint>
#include <cstring>

namespace share::media {

namespace {

constexpr std::uint32_t orientation_tag = 0x0112;
constexpr std::uint32_t type_short = 3;
constexpr std::uint32_t type_long = 4;

/// Reads numbers of either byte order; 0 beyond the end, which no caller mistakes for an orientation.
class Tiff {
public:
    explicit Tiff(std::span<const std::byte> data, bool big) noexcept : data_(data), big_(big) {}
    std::uint32_t number(std::uint64_t at, unsigned bytes) const noexcept {
        if (at + bytes > data_.size()) return 0;
        std::uint32_t value = 0;
        for (unsigned i = 0; i < bytes; ++i)
            value = (value << 8) | std::to_integer<std::uint32_t>(data_[at + (big_ ? i : bytes - 1 - i)]);
        return value;
    }

private:
    std::span<const std::byte> data_;
    bool big_;
};

bool starts_with(std::span<const std::byte> data, const char* text, std::size_t size) noexcept {
    return data.size() >= size && std::memcmp(data.data(), text, size) == 0;
}

} // namespace

int exif_orientation(std::span<const std::byte> data) noexcept {
    if (starts_with(data, "Exif\0\0", 6)) data = data.subspan(6);
    const bool big = starts_with(data, "MM\0*", 4);
    if (!big && !starts_with(data, "II*\0", 4)) return 1;
    const Tiff tiff(data, big);
    const std::uint64_t ifd = tiff.number(4, 4);
    const std::uint32_t entries = tiff.number(ifd, 2);
    for (std::uint32_t i = 0; i < entries; ++i) {
        const std::uint64_t entry = ifd + 2 + 12ULL * i;
        if (entry + 12 > data.size()) break;
        if (tiff.number(entry, 2) != orientation_tag || tiff.number(entry + 4, 4) != 1) continue;
        const std::uint32_t type = tiff.number(entry + 2, 2);
        if (type != type_short && type != type_long) continue;
        const std::uint32_t value = tiff.number(entry + 8, type == type_short ? 2 : 4);
        return value >= 1 && value <= 8 ? static_cast<int>(value) : 1;
    }
    return 1;
}

} // namespace share::media
