// SPDX-License-Identifier: MIT
#include <share/kms/formats.hpp>

#include <cstring>

#include <fmt/format.h>

#include "drm_ptr.hpp"

namespace share::kms {
namespace {

Error bad_blob(std::string why) {
    return make_error(Code::corrupt, "reading a plane's IN_FORMATS", std::move(why));
}

/// The `count` records of type T at byte `offset`, or nothing when they are not all inside.
template<class T>
bool read_records(std::span<const std::byte> blob, std::uint32_t offset, std::uint32_t count,
                  std::vector<T>& into) {
    if (offset > blob.size() || count > (blob.size() - offset) / sizeof(T)) return false;
    into.resize(count);
    if (count > 0) std::memcpy(into.data(), blob.data() + offset, count * sizeof(T));
    return true;
}

} // namespace

Result<std::vector<FormatModifier>> parse_in_formats(std::span<const std::byte> blob) {
    drm_format_modifier_blob head{};
    if (blob.size() < sizeof head)
        return bad_blob(fmt::format("{} bytes are less than its head of {}", blob.size(), sizeof head));
    std::memcpy(&head, blob.data(), sizeof head);
    if (head.version != FORMAT_BLOB_CURRENT) {
        auto error = bad_blob(fmt::format("version {}, only {} is known", head.version, FORMAT_BLOB_CURRENT));
        error.code = Code::unsupported;
        return error;
    }
    std::vector<std::uint32_t> formats;
    std::vector<drm_format_modifier> modifiers;
    if (!read_records(blob, head.formats_offset, head.count_formats, formats))
        return bad_blob(fmt::format("{} formats from byte {} are not all in its {} bytes", head.count_formats,
                                    head.formats_offset, blob.size()));
    if (!read_records(blob, head.modifiers_offset, head.count_modifiers, modifiers))
        return bad_blob(fmt::format("{} modifiers from byte {} are not all in its {} bytes",
                                    head.count_modifiers, head.modifiers_offset, blob.size()));
    std::vector<FormatModifier> pairs;
    for (std::size_t f = 0; f < formats.size(); ++f)
        for (const auto& modifier : modifiers) {
            // Each record tells of a window of 64 formats that begins at `offset`.
            if (f < modifier.offset || f - modifier.offset >= 64) continue;
            if ((modifier.formats >> (f - modifier.offset) & 1U) != 0)
                pairs.push_back({formats[f], modifier.modifier});
        }
    for (const auto& modifier : modifiers) {
        const std::uint64_t first = modifier.offset;
        for (std::uint64_t bit = first < formats.size() ? formats.size() - first : 0; bit < 64; ++bit)
            if ((modifier.formats >> bit & 1U) != 0)
                return bad_blob(fmt::format("modifier {} names format {} of {}",
                                            modifier_text(modifier.modifier), first + bit, formats.size()));
    }
    return pairs;
}

std::string formats_text(std::span<const FormatModifier> pairs) {
    std::string text;
    for (std::size_t i = 0; i < pairs.size(); ++i) {
        const bool same = i > 0 && pairs[i - 1].format == pairs[i].format;
        if (!same) text += fmt::format("{}{} (", i > 0 ? "), " : "", fourcc_text(pairs[i].format));
        text += fmt::format("{}{}", same ? ", " : "", modifier_text(pairs[i].modifier));
    }
    return pairs.empty() ? "none" : text + ")";
}

} // namespace share::kms
