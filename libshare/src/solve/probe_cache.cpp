// SPDX-License-Identifier: MIT
#include <share/probe_cache.hpp>

#include <cstdlib>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "os/private_file.hpp"
#include "solve/requirements_json.hpp"

namespace share {
namespace {

using Json = nlohmann::json;

constexpr unsigned file_version = 1;
constexpr std::size_t max_file = 8U << 20, max_key = 1024;
constexpr int max_depth = 8;

struct Entry {
    ProbeKey key;
    Requirements measured;
};

bool read_text(const Json& json, const char* name, std::string& text) {
    const auto at = json.find(name);
    if (at == json.end() || !at->is_string()) return false;
    text = at->get<std::string>();
    return !text.empty() && text.size() <= max_key;
}

std::optional<Entry> read_entry(const Json& json) {
    Entry entry;
    if (!json.is_object() || !read_text(json, "importer", entry.key.importer) ||
        !read_text(json, "driver", entry.key.driver) || !read_text(json, "version", entry.key.version))
        return std::nullopt;
    const auto at = json.find("requirements");
    auto measured = at != json.end() ? solve::from_json(*at) : std::nullopt;
    if (!measured) return std::nullopt;
    entry.measured = std::move(*measured);
    return entry;
}

Json write_entry(const Entry& entry) {
    return Json{{"importer", entry.key.importer},
                {"driver", entry.key.driver},
                {"version", entry.key.version},
                {"requirements", solve::to_json(entry.measured)}};
}

/// Names come from drivers and compositors: bytes that are no UTF-8 are replaced.
std::string text_of(const Json& json) {
    return json.dump(1, ' ', false, Json::error_handler_t::replace);
}

/// What nests deeper than anything of ours is skipped, not built: it could take a hundred times the file's
/// size.
Json parse(const std::string& text) {
    const auto keep = [](int depth, Json::parse_event_t, const Json&) { return depth <= max_depth; };
    return Json::parse(text, keep, false);
}

/// The entries that are good, oldest first; `remark` tells of those that are not.
std::vector<Entry> read_entries(const std::string& path, std::string& remark) {
    remark.clear();
    std::vector<Entry> entries;
    auto text = os::read_private_file(path, max_file);
    if (!text) {
        if (text.error().code != Code::unavailable) remark = text.error().text();
        return entries;
    }
    const Json file = parse(*text);
    const auto version = file.is_object() ? file.find("format") : file.end();
    const auto list = file.is_object() ? file.find("entries") : file.end();
    const auto prober = file.is_object() ? file.find("prober") : file.end();
    if (version != file.end() && *version == file_version &&
        (prober == file.end() || *prober != ProbeCache::prober_version)) {
        remark = fmt::format("{} was measured by another version of this library", path);
        return entries;
    }
    if (version == file.end() || *version != file_version || list == file.end() || !list->is_array()) {
        remark = fmt::format("{} is no probe cache of version {}", path, file_version);
        return entries;
    }
    std::size_t dropped = 0;
    for (const Json& json : *list) {
        auto entry = entries.size() < ProbeCache::max_entries ? read_entry(json) : std::nullopt;
        if (entry)
            entries.push_back(std::move(*entry));
        else
            ++dropped;
    }
    if (dropped > 0) remark = fmt::format("{}: {} entries were dropped", path, dropped);
    return entries;
}

std::string absolute(const char* name) {
    const char* value = std::getenv(name);
    return value != nullptr && value[0] == '/' ? value : "";
}

} // namespace

Result<std::string> ProbeCache::default_path() {
    std::string folder = absolute("XDG_CACHE_HOME");
    if (folder.empty() && !absolute("HOME").empty()) folder = absolute("HOME") + "/.cache";
    if (folder.empty())
        return make_error(Code::unavailable, "choosing a place for the probe cache",
                          "neither XDG_CACHE_HOME nor HOME is an absolute path; set one");
    return folder + "/libshare/probes.json";
}

std::optional<Requirements> ProbeCache::get(const ProbeKey& key) const {
    for (Entry& entry : read_entries(path_, remark_))
        if (entry.key == key) return std::move(entry.measured);
    return std::nullopt;
}

Result<void> ProbeCache::put(const ProbeKey& key, const Requirements& measured) const {
    const auto operation = [&] {
        return fmt::format("storing what was measured of {} {} {}", key.importer, key.driver, key.version);
    };
    const auto again = read_entry(parse(text_of(write_entry({key, measured}))));
    if (!again || again->key != key)
        return make_error(
            Code::invalid_argument, operation(),
            "a part of the key is empty or no UTF-8, or a text or list is too long to be read again");
    std::vector<Entry> entries = read_entries(path_, remark_);
    std::erase_if(entries, [&](const Entry& old) { return old.key == key; });
    if (entries.size() == max_entries) entries.erase(entries.begin());
    Json list = Json::array();
    for (const Entry& entry : entries)
        list.push_back(write_entry(entry));
    list.push_back(write_entry({key, measured}));
    const std::string text = text_of(
        Json{{"format", file_version}, {"prober", ProbeCache::prober_version}, {"entries", std::move(list)}});
    if (text.size() > max_file)
        return make_error(Code::limit, operation(), fmt::format("the file would have {} bytes", text.size()));
    return os::write_private_file(path_, text);
}

} // namespace share
