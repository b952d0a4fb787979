// SPDX-License-Identifier: MIT
#include "solve/requirements_json.hpp"

#include <algorithm>
#include <array>
#include <limits>
#include <string_view>
#include <type_traits>

#include <nlohmann/json.hpp>

namespace share::solve {
namespace {

using Json = nlohmann::json;

constexpr std::size_t max_list = 4096, max_text = 1024;

/// The words of an enumeration, by value.
template<typename E>
struct Words;
template<>
struct Words<ProbeState> {
    static constexpr std::array list{"good", "bad", "unprobeable"};
};
template<>
struct Words<Pattern> {
    static constexpr std::array list{"none", "sequential", "random"};
};
template<>
struct Words<Place> {
    static constexpr std::array list{"any", "system", "device"};
};
template<>
struct Words<CacheChoice> {
    static constexpr std::array list{"any", "cached", "write-combined"};
};
template<>
struct Words<Sharing> {
    static constexpr std::array list{"exclusive", "consistent"};
};

template<typename E>
std::string_view word(E value) {
    return Words<E>::list[static_cast<std::size_t>(value)];
}

bool read(const Json& json, bool& value) {
    if (!json.is_boolean()) return false;
    value = json.get<bool>();
    return true;
}

bool read(const Json& json, std::string& value) {
    if (!json.is_string() || json.get_ref<const std::string&>().size() > max_text) return false;
    value = json.get<std::string>();
    return true;
}

template<typename T>
    requires std::is_unsigned_v<T>
bool read(const Json& json, T& value) {
    if (!json.is_number_unsigned() || json.get<std::uint64_t>() > std::numeric_limits<T>::max()) return false;
    value = static_cast<T>(json.get<std::uint64_t>());
    return true;
}

template<typename E>
    requires std::is_enum_v<E>
bool read(const Json& json, E& value) {
    if (!json.is_string()) return false;
    const auto& text = json.get_ref<const std::string&>();
    const auto& words = Words<E>::list;
    const auto at = std::find(words.begin(), words.end(), text);
    if (at == words.end()) return false;
    value = static_cast<E>(at - words.begin());
    return true;
}

template<>
bool read(const Json& json, Exports& value) {
    std::uint8_t bits = 0;
    if (!read(json, bits) || (bits & ~static_cast<unsigned>(any_handle)) != 0) return false;
    value = static_cast<Exports>(bits);
    return true;
}

template<>
bool read(const Json& json, Need& value) {
    if (!json.is_string()) return false;
    for (std::size_t i = 0; i < need_count; ++i) {
        value = static_cast<Need>(i);
        if (to_string(value) == json.get_ref<const std::string&>()) return true;
    }
    return false;
}

bool read(const Json& json, FormatChoice& value);
bool read(const Json& json, Known& value);

template<typename T>
bool read(const Json& json, std::vector<T>& list) {
    if (!json.is_array() || json.size() > max_list) return false;
    list.resize(json.size());
    for (std::size_t i = 0; i < list.size(); ++i)
        if (!read(json[i], list[i])) return false;
    return true;
}

template<typename T>
bool read(const Json& json, std::optional<T>& value) {
    return read(json, value.emplace());
}

template<typename T>
Json write(const T& value) {
    return value;
}
template<typename E>
    requires std::is_enum_v<E>
Json write(const E& value) {
    return word(value);
}
Json write(const Exports& value) {
    return static_cast<unsigned>(value);
}
Json write(const Need& value) {
    return to_string(value);
}
Json write(const FormatChoice& value);
Json write(const Known& value);
template<typename T>
Json write(const std::vector<T>& list) {
    Json json = Json::array();
    for (const T& value : list)
        json.push_back(write(value));
    return json;
}
template<typename T>
Json write(const std::optional<T>& value) {
    return write(*value);
}

/// Every field once, for both directions.
template<typename C, typename F>
    requires std::is_same_v<std::remove_const_t<C>, FormatChoice>
void fields(C& c, F&& f) {
    f("format", c.pair.format);
    f("modifier", c.pair.modifier);
    f("state", c.state);
    f("device", c.device);
    f("implicit_is_linear", c.implicit_is_linear);
    f("from", c.from);
}

template<typename K, typename F>
    requires std::is_same_v<std::remove_const_t<K>, Known>
void fields(K& k, F&& f) {
    f("need", k.need);
    f("state", k.state);
    f("from", k.from);
}

template<typename R, typename F>
    requires std::is_same_v<std::remove_const_t<R>, Requirements>
void fields(R& r, F&& f) {
    f("formats", r.formats);
    f("stride_align", r.stride_align);
    f("offset_align", r.offset_align);
    f("height_align", r.height_align);
    f("size_align", r.size_align);
    f("planes_follow", r.planes_follow);
    f("min_width", r.min_width);
    f("min_height", r.min_height);
    f("max_width", r.max_width);
    f("max_height", r.max_height);
    f("max_stride", r.max_stride);
    f("max_bytes", r.max_bytes);
    f("contiguous", r.contiguous);
    f("place", r.place);
    f("place_device", r.place_device);
    f("heaps", r.heaps);
    f("page_size", r.page_size);
    f("cache", r.cache);
    f("device_only", r.device_only);
    f("cpu_read", r.cpu_read);
    f("cpu_write", r.cpu_write);
    f("device_writes", r.device_writes);
    f("handles", r.handles);
    f("read_only_to_peers", r.read_only_to_peers);
    f("sharing", r.sharing);
    f("known", r.known);
}

template<typename T>
bool is_absent(const T&) {
    return false;
}
template<typename T>
bool is_absent(const std::optional<T>& value) {
    return !value;
}

template<typename S>
Json write_fields(const S& value) {
    Json json = Json::object();
    fields(value, [&](const char* key, const auto& field) {
        if (!is_absent(field)) json[key] = write(field);
    });
    return json;
}

template<typename S>
bool read_fields(const Json& json, S& value) {
    if (!json.is_object()) return false;
    bool good = true;
    fields(value, [&](const char* key, auto& field) {
        const auto at = json.find(key);
        if (at != json.end()) good = good && read(*at, field);
    });
    return good;
}

/// A reason is for people: its beginning is better than none. Not valid UTF-8 is replaced first, because that
/// makes it longer.
std::string clipped(const std::string& reason) {
    if (reason.size() <= max_text / 3) return reason; // U+FFFD has three bytes
    const Json valid = Json::parse(Json(reason).dump(-1, ' ', false, Json::error_handler_t::replace));
    auto text = valid.get<std::string>();
    if (text.size() <= max_text) return text;
    std::size_t end = max_text;
    while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0U) == 0x80U)
        --end;
    text.resize(end);
    return text;
}

template<typename S>
Json write_with_reason(const S& value) {
    Json json = write_fields(value);
    json["from"] = clipped(value.from);
    return json;
}

Json write(const FormatChoice& value) {
    return write_with_reason(value);
}
Json write(const Known& value) {
    return write_with_reason(value);
}
bool read(const Json& json, FormatChoice& value) {
    return read_fields(json, value);
}
bool read(const Json& json, Known& value) {
    return read_fields(json, value);
}

} // namespace

Json to_json(const Requirements& requirements) {
    return write_fields(requirements);
}

std::optional<Requirements> from_json(const Json& json) {
    Requirements requirements;
    if (!read_fields(json, requirements)) return std::nullopt;
    return requirements;
}

} // namespace share::solve
