// SPDX-License-Identifier: MIT
// share-info as a user meets it: with servers, without, and with one that never answers.
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <fstream>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <nlohmann/json.hpp>

#include "json_schema.hpp"
#include "process.hpp"

using Catch::Matchers::ContainsSubstring;
using nlohmann::json;
using namespace std::chrono_literals;

namespace {

const std::vector<std::string> no_servers{"WAYLAND_DISPLAY", "WAYLAND_SOCKET", "DISPLAY", "XDG_RUNTIME_DIR"};

testing::Finished share_info(std::vector<std::string> arguments, std::vector<std::string> env = no_servers) {
    arguments.insert(arguments.begin(), testing::built("tools/share-info/share-info"));
    return testing::run({.env = std::move(env), .args = std::move(arguments), .keep_fds = {}});
}

json load_schema() {
    std::ifstream file(std::string(std::getenv("SHARE_SOURCE_ROOT")) + "/docs/share-info.schema.json");
    return json::parse(file);
}

/// Runs with --json; the status, the schema and standard error are checked.
json document(std::vector<std::string> arguments, std::vector<std::string> env = no_servers) {
    arguments.emplace_back("--json");
    const auto done = share_info(std::move(arguments), std::move(env));
    INFO(done.out << done.err);
    REQUIRE(done.status == 0);
    CHECK(done.err.empty());
    json parsed;
    REQUIRE_NOTHROW(parsed = json::parse(done.out));
    for (const auto& error : testing::schema_errors(load_schema(), parsed))
        FAIL_CHECK(error);
    return parsed;
}

/// A socket that accepts connections and never says a word.
class SilentSocket {
public:
    explicit SilentSocket(const std::string& path) : fd_(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        path.copy(address.sun_path, sizeof address.sun_path - 1);
        REQUIRE(bind(fd_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
        REQUIRE(listen(fd_.get(), 8) == 0);
    }

private:
    share::UniqueFd fd_;
};

} // namespace

TEST_CASE("the schema's validator refuses what is wrong, and passes what is right") {
    const auto schema = json::parse(R"({"type": "object", "required": ["a"], "additionalProperties": false,
        "properties": {"a": {"type": "integer", "minimum": 0}, "b": {"$ref": "#/$defs/b"}},
        "$defs": {"b": {"oneOf": [{"const": true}, {"type": "array", "items": {"enum": ["x", "y"]}}]}}})");
    for (const auto* right : {R"({"a": 1})", R"({"a": 0, "b": true})", R"({"a": 0, "b": ["x", "y"]})"})
        CHECK(testing::schema_errors(schema, json::parse(right)).empty());
    for (const auto* wrong : {R"([])", R"({})", R"({"a": "1"})", R"({"a": -1})", R"({"a": 1, "c": 1})",
                              R"({"a": 1, "b": false})", R"({"a": 1, "b": ["z"]})"})
        CHECK_FALSE(testing::schema_errors(schema, json::parse(wrong)).empty());
    CHECK_THROWS(testing::schema_errors(json::parse(R"({"maxLength": 1})"), json("")));
}

TEST_CASE("share-info with no server at hand says so and what to set, and tells all the rest") {
    const auto all = document({});
    CHECK(all.at("share_info") == 1);
    CHECK(all.at("machine").at("page_size") == sysconf(_SC_PAGESIZE));
    for (const auto& display : all.at("egl").value("displays", json::array()))
        if (display.at("available") == true) CHECK(display.contains("needs"));
    CHECK(all.at("limits").at("nofile").at("available") == true);
    CHECK(all.at("wayland").at("available") == false);
    CHECK(all.at("x11").at("available") == false);
    const auto text = share_info({});
    CHECK(text.status == 0);
    CHECK(text.err.empty());
    for (const auto* section : {"machine\n", "\nlimits\n", "\nheaps\n", "\negl\n", "\nwayland\n", "\nx11\n"})
        CHECK_THAT(text.out, ContainsSubstring(section));
}

TEST_CASE("share-info lists every heap with what it is like or with the reason why there is none") {
    const auto heaps = document({"--section=heaps"}).at("heaps").at("table");
    const auto find = [&](const char* name) {
        const auto at =
            std::find_if(heaps.begin(), heaps.end(), [&](const json& h) { return h["name"] == name; });
        REQUIRE(at != heaps.end());
        return *at;
    };
    CHECK(find("memfd").at("kind") == "memfd");
    CHECK(find("memfd").at("dmabuf").at("available") == false);
    CHECK(find("memfd").at("exports") == json::array({"memfd"}));
    CHECK(find("memfd").at("cache") == "cached");
    CHECK(find("memfd").at("cache_source") == "declared");
    CHECK(find("memfd").at("privilege") == json{{"kind", "none"}, {"path", nullptr}});
    CHECK(find("memfd").at("device_only") == true);
    CHECK(find("sysv").at("device_only") == false);
    for (const auto& heap : heaps) {
        if (heap.at("available") == false) continue;
        INFO(heap.dump());
        const auto exports = heap.at("exports");
        CHECK(heap.at("dmabuf").at("available") ==
              (std::find(exports.begin(), exports.end(), "dma-buf") != exports.end()));
        // What is promised was seen: all of a hugetlb page, or the heap of transparent ones would not be
        // there.
        const auto seen = heap.at("huge_pages");
        if (heap.at("kind") == "hugetlbfs" && !seen.is_null())
            CHECK(seen.at("in_huge_pages") == seen.at("touched"));
        if (seen.is_null()) CHECK((heap.at("page_size") == 4096 || heap.at("kind") == "hugetlbfs"));
    }
    CHECK(std::count_if(heaps.begin(), heaps.end(), [](const json& h) {
              return h.at("name").get<std::string>().starts_with("memfd-huge");
          }) >= 2);
    const auto udmabuf = find("udmabuf");
    CHECK(udmabuf.at("available") == (access("/dev/udmabuf", R_OK | W_OK) == 0));
    if (udmabuf.at("available") == true)
        CHECK(udmabuf.at("dmabuf").at("available") == true);
    else
        CHECK_THAT(udmabuf.at("reason").get<std::string>(), ContainsSubstring("/dev/udmabuf"));
}

TEST_CASE("--section chooses sections; their order is the document's") {
    const auto chosen = document({"--section=heaps", "--section", "machine"});
    CHECK(chosen.contains("machine"));
    CHECK(chosen.contains("heaps"));
    CHECK(chosen.size() == 4); // with version and share_info
    const auto text = share_info({"--section=heaps", "--section=machine"}).out;
    CHECK(text.starts_with("machine\n"));
    CHECK(text.find("limits") == std::string::npos);
}

TEST_CASE("a wrong command line is one line of help and status 2") {
    const std::vector<std::string> wrong =
        GENERATE(std::vector<std::string>{"--section=nothing"}, std::vector<std::string>{"--section="},
                 std::vector<std::string>{"--unknown"}, std::vector<std::string>{"word"},
                 std::vector<std::string>{""});
    const auto done = share_info(wrong);
    CHECK(done.status == 2);
    CHECK(done.out.empty());
    CHECK(std::count(done.err.begin(), done.err.end(), '\n') == 1);
    CHECK(share_info({"--help"}).status == 0);
    CHECK_THAT(share_info({"--version"}).out, ContainsSubstring("share-info "));
}

TEST_CASE("share-info tells what share-compositor offers") {
    testing::TempDir dir;
    const std::vector<std::string> env{"XDG_RUNTIME_DIR=" + dir.path().string(), "WAYLAND_DISPLAY=share-test",
                                       "WAYLAND_SOCKET", "DISPLAY"};
    if (!std::filesystem::exists(testing::built("compositor-demo/share-compositor")))
        SKIP("share-compositor was not built");
    testing::Process compositor({.env = env,
                                 .args = {testing::built("compositor-demo/share-compositor"),
                                          "--socket=share-test", "--renderer=pixman"},
                                 .keep_fds = {}});
    REQUIRE(testing::eventually([&] { return std::filesystem::exists(dir.path() / "share-test"); }));
    const auto wayland = document({"--section=wayland"}, env).at("wayland");
    REQUIRE(wayland.at("available") == true);
    const auto& globals = wayland.at("globals");
    CHECK(std::any_of(globals.begin(), globals.end(),
                      [](const json& g) { return g["interface"] == "xdg_wm_base" && g["version"] >= 6; }));
    const auto& shm = wayland.at("wl_shm").at("formats");
    CHECK(std::find(shm.begin(), shm.end(), "XR24") != shm.end());
    REQUIRE(wayland.at("linux_dmabuf").at("available") == true);
    CHECK_FALSE(wayland.at("linux_dmabuf").at("tranches").at(0).at("formats").empty());
    const auto& needs = wayland.at("needs");
    REQUIRE(needs.at("linux_dmabuf").at("available") == true);
    CHECK(needs.at("linux_dmabuf").at("formats").at("good") > 0);
    CHECK(needs.at("wl_shm").at("handles") == "memfd");
    const auto text = share_info({"--section=wayland"}, env).out;
    CHECK_THAT(text, ContainsSubstring("linux-dmabuf") && ContainsSubstring("xdg_wm_base"));
    CHECK_THAT(text, ContainsSubstring("a stride that is a multiple of 4"));
    compositor.signal(SIGTERM);
    CHECK(compositor.wait(10s) == 0);
}

TEST_CASE("share-info tells what an X server offers") {
    if (!testing::have_program("Xvfb")) SKIP("Xvfb is not installed");
    testing::Process server(
        {.env = {}, .args = {"Xvfb", "-displayfd", "1", "-nolisten", "tcp"}, .keep_fds = {}});
    REQUIRE(testing::eventually([&] { return server.out().ends_with('\n'); }));
    auto number = server.out();
    number.pop_back();
    auto env = no_servers;
    env.back() = "DISPLAY=:" + number;
    const auto x11 = document({"--section=x11"}, env).at("x11");
    REQUIRE(x11.at("available") == true);
    CHECK_FALSE(x11.at("vendor").get<std::string>().empty());
    CHECK(x11.at("local") == true);
    CHECK(x11.at("mit_shm").at("version") == "1.2");
    CHECK(x11.at("mit_shm").at("shared_pixmaps") == true);
    CHECK(x11.at("fd_passing").at("available") == true);
    CHECK(x11.at("present").at("available") == true);
    CHECK(x11.at("screen").at("depth") == 24);
    REQUIRE(x11.at("needs").at("available") == true);
    const auto& list = x11.at("needs").at("list");
    CHECK(std::any_of(list.begin(), list.end(), [](const json& need) {
        return need.at("need") == "stride" && need.at("state") == "good" && need.at("restricts") == true;
    }));
}

TEST_CASE("an X server without MIT-SHM is told as such, with the path that is left") {
    if (!testing::have_program("Xvfb")) SKIP("Xvfb is not installed");
    testing::Process server({.env = {},
                             .args = {"Xvfb", "-displayfd", "1", "-nolisten", "tcp", "-extension", "MIT-SHM"},
                             .keep_fds = {}});
    REQUIRE(testing::eventually([&] { return server.out().ends_with('\n'); }));
    auto number = server.out();
    number.pop_back();
    auto env = no_servers;
    env.back() = "DISPLAY=:" + number;
    const auto x11 = document({"--section=x11"}, env).at("x11");
    CHECK(x11.at("mit_shm").at("available") == false);
    CHECK(x11.at("fd_passing").at("available") == false);
    CHECK(x11.at("needs").at("available") == false);
}

TEST_CASE("servers that accept and never answer cost their sections, and share-info ends") {
    testing::TempDir dir;
    const SilentSocket wayland(dir / "silent-wayland"), x11(dir / "silent-x11");
    const std::vector<std::string> env{"XDG_RUNTIME_DIR=" + dir.path().string(),
                                       "WAYLAND_DISPLAY=silent-wayland", "WAYLAND_SOCKET",
                                       "DISPLAY=unix:" + (dir / "silent-x11")};
    const auto all = document({}, env); // run() gives up after a minute
    for (const auto* section : {"wayland", "x11"}) {
        INFO(section);
        CHECK(all.at(section).at("available") == false);
        CHECK_THAT(all.at(section).at("reason").get<std::string>(), !ContainsSubstring("not set"));
    }
    CHECK(all.at("heaps").at("available") == true);
}

TEST_CASE("display names that lead nowhere are reasons, not failures") {
    testing::TempDir dir;
    const std::vector<std::string> env{"XDG_RUNTIME_DIR=" + dir.path().string(), "WAYLAND_DISPLAY=absent",
                                       "WAYLAND_SOCKET=77",
                                       "DISPLAY=" + std::string(GENERATE("nonsense", ":"))};
    const auto all = document({"--section=wayland", "--section=x11"}, env);
    CHECK(all.at("wayland").at("available") == false);
    CHECK(all.at("x11").at("available") == false);
}

TEST_CASE("DRM and V4L2 nodes are listed with what they can do, or with the reason why there is none") {
    const auto all = document({"--section=kms", "--section=v4l2"});
    struct Kind {
        const char *section, *folder, *prefix, *path;
    };
    for (const auto& kind :
         {Kind{"kms", "/dev/dri", "card", "node"}, Kind{"v4l2", "/dev", "video", "path"}}) {
        INFO(kind.section);
        const auto& part = all.at(kind.section);
        std::vector<std::string> nodes;
        std::error_code none;
        for (const auto& entry : std::filesystem::directory_iterator(kind.folder, none))
            if (entry.path().filename().string().starts_with(kind.prefix)) nodes.push_back(entry.path());
        if (part.at("available") == false) {
            const auto reason = part.at("reason").get<std::string>();
            CHECK((nodes.empty() || reason.find("built without") != std::string::npos));
            continue;
        }
        REQUIRE(part.at("devices").size() == nodes.size());
        for (const auto& device : part.at("devices")) {
            const auto path = device.at(kind.path).get<std::string>();
            CHECK(std::find(nodes.begin(), nodes.end(), path) != nodes.end());
            if (device.at("available") == true) CHECK_FALSE(device.at("driver").get<std::string>().empty());
        }
    }
}

TEST_CASE("an EGL driver that crashes costs the egl section, which says so") {
    testing::TempDir dir;
    std::ofstream(dir / "driver.json")
        << json{{"file_format_version", "1.0.0"},
                {"ICD", {{"library_path", testing::built("tests/tools/libcrashing-driver.so")}}}};
    auto env = no_servers;
    env.push_back("__EGL_VENDOR_LIBRARY_FILENAMES=" + (dir / "driver.json"));
    const auto all = document({"--section=egl", "--section=heaps"}, env);
    CHECK(all.at("heaps").at("available") == true);
    REQUIRE(all.at("egl").at("available") == false);
    const auto reason = all.at("egl").at("reason").get<std::string>();
    if (reason.find("built without") != std::string::npos) SKIP(reason);
    CHECK_THAT(reason, ContainsSubstring("crashed"));
}

TEST_CASE("an output that cannot be written is status 1 and a word about it") {
    const auto program = testing::built("tools/share-info/share-info");
    const auto done = testing::run(
        {.env = no_servers, .args = {"sh", "-c", program + " --section=machine >/dev/full"}, .keep_fds = {}});
    CHECK(done.status == 1);
    CHECK_THAT(done.err, ContainsSubstring("standard output"));
}
