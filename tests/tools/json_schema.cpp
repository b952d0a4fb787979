// SPDX-License-Identifier: MIT
#include "json_schema.hpp"

#include <algorithm>
#include <set>

namespace testing {

namespace {

using nlohmann::json;

class Validator {
public:
    explicit Validator(const json& root) : root_(root) {}
    std::vector<std::string> check(const json& schema, const json& value, const std::string& path) {
        errors_.clear();
        walk(schema, value, path);
        return std::move(errors_);
    }

private:
    void wrong(const std::string& path, const std::string& what) { errors_.push_back(path + ": " + what); }

    static bool is_type(const json& value, const std::string& type) {
        return type == "object"    ? value.is_object()
               : type == "array"   ? value.is_array()
               : type == "string"  ? value.is_string()
               : type == "boolean" ? value.is_boolean()
               : type == "null"    ? value.is_null()
               : type == "integer" ? value.is_number_integer()
                                   : throw std::logic_error("the schema has type " + type);
    }

    void walk(const json& schema, const json& value, const std::string& path) {
        static const std::set<std::string> known{
            "title", "$defs",   "$ref",     "type",       "const",
            "enum",  "minimum", "required", "properties", "additionalProperties",
            "items", "oneOf"};
        for (const auto& [keyword, unused] : schema.items())
            if (!known.contains(keyword)) throw std::logic_error("the schema has keyword " + keyword);
        if (schema.contains("$ref")) {
            const auto name = schema["$ref"].get<std::string>();
            return walk(root_.at(json::json_pointer(name.substr(1))), value, path);
        }
        if (schema.contains("oneOf")) return one_of(schema["oneOf"], value, path);
        if (schema.contains("const") && value != schema["const"])
            wrong(path, "is not " + schema["const"].dump());
        if (schema.contains("enum") &&
            std::find(schema["enum"].begin(), schema["enum"].end(), value) == schema["enum"].end())
            wrong(path, value.dump() + " is none of " + schema["enum"].dump());
        if (schema.contains("type")) check_type(schema["type"], value, path);
        if (schema.contains("minimum") && value.is_number() && value < schema["minimum"])
            wrong(path, "is below " + schema["minimum"].dump());
        if (value.is_object()) check_object(schema, value, path);
        if (value.is_array() && schema.contains("items"))
            for (std::size_t i = 0; i < value.size(); ++i)
                walk(schema["items"], value[i], path + "/" + std::to_string(i));
    }

    void check_type(const json& types, const json& value, const std::string& path) {
        const json list = types.is_array() ? types : json::array({types});
        if (std::none_of(list.begin(), list.end(), [&](const json& type) { return is_type(value, type); }))
            wrong(path, "is no " + types.dump());
    }

    void check_object(const json& schema, const json& value, const std::string& path) {
        const json properties = schema.value("properties", json::object());
        const json others = schema.value("additionalProperties", json(true));
        for (const auto& name : schema.value("required", json::array()))
            if (!value.contains(name.get<std::string>())) wrong(path, "has no " + name.dump());
        for (const auto& [name, member] : value.items()) {
            if (properties.contains(name))
                walk(properties[name], member, path + "/" + name);
            else if (others.is_object())
                walk(others, member, path + "/" + name);
            else if (others == false)
                wrong(path, "has '" + name + "', which the schema does not know");
        }
    }

    void one_of(const json& choices, const json& value, const std::string& path) {
        std::vector<std::vector<std::string>> refusals;
        for (const auto& choice : choices)
            refusals.push_back(Validator(root_).check(choice, value, path));
        const auto fitting =
            std::count_if(refusals.begin(), refusals.end(), [](auto& r) { return r.empty(); });
        if (fitting == 1) return;
        if (fitting > 1) return wrong(path, "fits several choices");
        // The choice that was nearly right is the one that was meant.
        const auto meant = std::min_element(refusals.begin(), refusals.end(),
                                            [](auto& a, auto& b) { return a.size() < b.size(); });
        errors_.insert(errors_.end(), meant->begin(), meant->end());
    }

    const json& root_;
    std::vector<std::string> errors_;
};

} // namespace

std::vector<std::string> schema_errors(const nlohmann::json& schema, const nlohmann::json& document) {
    return Validator(schema).check(schema, document, "");
}

} // namespace testing
