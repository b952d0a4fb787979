// SPDX-License-Identifier: MIT
// Properties: one KMS object's properties by name, as they were when read. Source: drm-kms.rst (KMS
// properties).
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <share/result.hpp>

namespace share::kms {

struct Property {
    std::uint32_t id = 0;
    std::uint64_t value = 0;
};

class Properties {
public:
    /// `type`: DRM_MODE_OBJECT_*.
    static Result<Properties> read(int fd, std::uint32_t object, std::uint32_t type);
    std::uint32_t object() const noexcept { return object_; }
    std::optional<Property> find(std::string_view name) const;
    /// The value, or `otherwise` where there is no such property.
    std::uint64_t value(std::string_view name, std::uint64_t otherwise = 0) const;

private:
    std::uint32_t object_ = 0;
    std::map<std::string, Property, std::less<>> by_name_;
};

/// Empty when there is no such blob.
std::vector<std::byte> read_blob(int fd, std::uint64_t id);

} // namespace share::kms
