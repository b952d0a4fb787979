// SPDX-License-Identifier: MIT
#include "properties.hpp"

#include <cerrno>
#include <cstring>

#include <fmt/format.h>

#include "drm_ptr.hpp"

namespace share::kms {

Result<Properties> Properties::read(int fd, std::uint32_t object, std::uint32_t type) {
    const DrmPtr<drmModeObjectProperties> list(drmModeObjectGetProperties(fd, object, type));
    if (!list)
        return error_from_errno(errno, fmt::format("reading the properties of KMS object {}", object),
                                "DRM_IOCTL_MODE_OBJ_GETPROPERTIES");
    Properties properties;
    properties.object_ = object;
    for (std::uint32_t i = 0; i < list->count_props; ++i)
        if (const DrmPtr<drmModePropertyRes> property(drmModeGetProperty(fd, list->props[i])); property)
            properties.by_name_[std::string(property->name, strnlen(property->name, DRM_PROP_NAME_LEN))] = {
                property->prop_id, list->prop_values[i]};
    return properties;
}

std::optional<Property> Properties::find(std::string_view name) const {
    const auto found = by_name_.find(name);
    if (found == by_name_.end()) return std::nullopt;
    return found->second;
}

std::uint64_t Properties::value(std::string_view name, std::uint64_t otherwise) const {
    const auto found = find(name);
    return found ? found->value : otherwise;
}

std::vector<std::byte> read_blob(int fd, std::uint64_t id) {
    const DrmPtr<drmModePropertyBlobRes> blob(
        id == 0 ? nullptr : drmModeGetPropertyBlob(fd, static_cast<std::uint32_t>(id)));
    if (!blob || !blob->data) return {};
    const auto* data = static_cast<const std::byte*>(blob->data);
    return {data, data + blob->length};
}

} // namespace share::kms
