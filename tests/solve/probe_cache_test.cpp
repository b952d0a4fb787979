// SPDX-License-Identifier: MIT
#include <catch2/catch_get_random_seed.hpp>
#include <catch2/catch_test_macros.hpp>

#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <random>
#include <sstream>

#include <share/probe_cache.hpp>

#include "parties.hpp"
#include "process.hpp"
#include "random_parties.hpp"

using namespace share;
namespace fs = std::filesystem;

namespace {

const ProbeKey key{"egl", "radeonsi", "25.0.7 on 6.12"};

Requirements measured() {
    Requirements r;
    r.formats = {::parties::choice(format::xrgb8888), ::parties::implicit_rows(format::nv12)};
    r.formats[0].from = "sampled \"twice\"\n";
    r.stride_align = 256;
    r.known = {{Need::stride, ProbeState::good, "128 was refused"}};
    r.handles = Exports::dmabuf;
    r.sharing = Sharing::consistent;
    return r;
}

void write(const std::string& path, const std::string& text) {
    std::ofstream(path, std::ios::binary | std::ios::trunc) << text;
    fs::permissions(path, fs::perms::owner_read | fs::perms::owner_write);
}

std::string read(const std::string& path) {
    std::ostringstream out;
    out << std::ifstream(path, std::ios::binary).rdbuf();
    return out.str();
}

unsigned mode(const std::string& path) {
    struct stat st{};
    REQUIRE(::stat(path.c_str(), &st) == 0);
    return st.st_mode & 07777U;
}

} // namespace

TEST_CASE("what was measured is there at the next start, without name and device") {
    testing::TempDir dir;
    const std::size_t fds = testing::count_fds();
    const std::string path = dir / "cache/libshare/probes.json";
    const ProbeCache cache(path);
    CHECK_FALSE(cache.get(key));
    CHECK(cache.remark().empty());
    Requirements named = measured();
    named.party = "weston";
    named.device = "/dev/dri/renderD128";
    REQUIRE(cache.put(key, named));
    const auto again = ProbeCache(path).get(key);
    REQUIRE(again);
    CHECK(describe(*again) == describe(measured()));
    CHECK_FALSE(cache.get({key.importer, key.driver, "25.0.8"}));
    CHECK_FALSE(cache.get({"kms", key.driver, key.version}));
    CHECK(mode(path) == 0600);
    CHECK(mode(dir / "cache/libshare") == 0700);
    CHECK(testing::count_fds() == fds);
    // One file and nothing beside it.
    CHECK(std::distance(fs::directory_iterator(dir / "cache/libshare"), fs::directory_iterator()) == 1);
}

TEST_CASE("every field survives, whatever its value") {
    testing::TempDir dir;
    const ProbeCache cache(dir / "probes.json");
    for (std::uint32_t i = 0; i < 100; ++i) {
        random_parties::Dice dice(Catch::getSeed() + i);
        Requirements party = random_parties::party(dice, 0, 50);
        party.party.clear();
        party.device.clear();
        REQUIRE(cache.put(key, party));
        const auto again = cache.get(key);
        REQUIRE(again);
        CHECK(describe(*again) == describe(party));
        CHECK(again->cpu_write == party.cpu_write);
        CHECK(again->device_writes == party.device_writes);
    }
}

TEST_CASE("keys are told apart, the same key is replaced, and the oldest makes room") {
    testing::TempDir dir;
    const ProbeCache cache(dir / "probes.json");
    for (std::size_t i = 0; i < ProbeCache::max_entries + 3; ++i) {
        Requirements party;
        party.max_width = static_cast<std::uint32_t>(i + 1);
        REQUIRE(cache.put({"kms", "vkms", std::to_string(i)}, party));
    }
    CHECK_FALSE(cache.get({"kms", "vkms", "2"}));
    REQUIRE(cache.get({"kms", "vkms", "3"}));
    CHECK(cache.get({"kms", "vkms", "66"})->max_width == 67);
    REQUIRE(cache.put({"kms", "vkms", "3"}, measured()));
    CHECK(cache.get({"kms", "vkms", "3"})->stride_align == 256);
    CHECK(cache.get({"kms", "vkms", "4"}));
}

TEST_CASE("what could not be read again is not written") {
    testing::TempDir dir;
    const ProbeCache cache(dir / "probes.json");
    for (const ProbeKey& bad :
         {ProbeKey{"", "d", "v"}, ProbeKey{"egl", "", "v"}, ProbeKey{"egl", "d", ""},
          ProbeKey{"egl", std::string(5000, 'x'), "v"}, ProbeKey{"egl", "\xff\xfe", "v"}}) {
        const auto put = cache.put(bad, measured());
        REQUIRE_FALSE(put);
        CHECK(put.error().code == Code::invalid_argument);
    }
    Requirements endless = measured();
    endless.heaps = {std::string(5000, 'x')}; // half a name would be another heap
    CHECK_FALSE(cache.put(key, endless));
    CHECK_FALSE(fs::exists(cache.path()));
}

TEST_CASE("a reason of any length and bytes is kept as far as it goes: no need to measure again and again") {
    testing::TempDir dir;
    const ProbeCache cache(dir / "probes.json");
    const auto repeated = [](std::string_view text, std::size_t bytes) {
        std::string all = "x";
        while (all.size() < bytes)
            all += text;
        return all;
    };
    Requirements chatty = measured();
    for (const std::string_view piece : {"x", "\u00e4", "\u20ac", "\U0001f600", "\xff"}) {
        CAPTURE(piece);
        chatty.known[0].from = chatty.formats[0].from = repeated(piece, 5000);
        REQUIRE(cache.put(key, chatty));
        const auto again = cache.get(key);
        REQUIRE(again);
        CHECK(cache.remark().empty());
        for (const std::string& kept : {again->known[0].from, again->formats[0].from}) {
            CHECK(kept.size() <= 1024);
            CHECK(kept.size() > 1020);
            // Whole characters: only of bytes that were none before is another text made.
            if (piece != "\xff") CHECK(chatty.known[0].from.starts_with(kept));
            if (piece != "\xff") CHECK((kept.size() - 1) % piece.size() == 0);
            CHECK(kept.find('x') == 0);
        }
    }
    chatty.known[0].from = "\xff";
    REQUIRE(cache.put(key, chatty));
    CHECK(cache.get(key)->known[0].from == "\ufffd");
    const ProbeKey wordy{"egl", std::string(1000, 'd'), std::string(1024, 'v')};
    REQUIRE(cache.put(wordy, measured()));
    CHECK(cache.get(wordy));
}

TEST_CASE("what another version of the probers measured counts as nothing, and is replaced") {
    testing::TempDir dir;
    const std::string path = dir / "probes.json";
    const ProbeCache cache(path);
    REQUIRE(cache.put(key, measured()));
    const std::string whole = read(path);
    const std::string now = "\"prober\": " + std::to_string(ProbeCache::prober_version);
    const std::size_t at = whole.find(now);
    REQUIRE(at != std::string::npos);
    for (const std::string& other : {std::string("\"prober\": 0"), std::string("\"prober\": \"1\""),
                                     "\"prober\": " + std::to_string(ProbeCache::prober_version + 1),
                                     "\"x\": " + std::to_string(ProbeCache::prober_version)}) {
        INFO(other);
        write(path, std::string(whole).replace(at, now.size(), other));
        CHECK_FALSE(cache.get(key));
        CHECK(cache.remark().find("another version") != std::string::npos);
        REQUIRE(cache.put({"kms", "vkms", "1"}, measured()));
        CHECK(cache.remark().find("another version") != std::string::npos);
        CHECK_FALSE(cache.get(key));
        CHECK(cache.get({"kms", "vkms", "1"}));
    }
}

TEST_CASE("a file with anything wrong counts as empty, says why, and is replaced") {
    testing::TempDir dir;
    const std::string path = dir / "probes.json";
    const ProbeCache cache(path);
    const std::string deep(1U << 20, '[');
    for (const std::string& text :
         {std::string(), std::string("{"), std::string("null"), std::string("[1]"),
          std::string("\0\0\0\0", 4), std::string(R"({"format":2,"entries":[]})"),
          std::string(R"({"format":1})"), std::string(R"({"format":1,"prober":1,"entries":{}})"),
          std::string(R"({"format":[[1]],"entries":[]})"), deep, R"({"format":1,"x":)" + deep,
          std::string((8U << 20) + 1, ' ')}) {
        INFO(text.substr(0, 40));
        write(path, text);
        CHECK_FALSE(cache.get(key));
        CHECK_FALSE(cache.remark().empty());
        REQUIRE(cache.put(key, measured()));
        CHECK(cache.get(key));
    }
}

TEST_CASE("an entry with anything wrong is dropped, and the others stay") {
    testing::TempDir dir;
    const std::string path = dir / "probes.json";
    const ProbeCache cache(path);
    const std::string good =
        R"({"importer":"egl","driver":"good","version":"1","requirements":{"stride_align":128}})";
    for (const char* wrong :
         {R"({"stride_align":-1})", R"({"stride_align":"64"})", R"({"stride_align":1.5})",
          R"({"stride_align":4294967296})", R"({"max_bytes":1e30})", R"({"formats":{}})",
          R"({"formats":[3]})", R"({"formats":[{"state":"excellent"}]})", R"({"formats":[{"state":0}]})",
          R"({"handles":8})", R"({"cpu_read":"backwards"})", R"({"sharing":null})",
          R"({"known":[{"need":"money"}]})", R"({"heaps":[["memfd"]]})", R"([])", R"("x")",
          R"({"contiguous":1})"}) {
        INFO(wrong);
        write(path, std::string(R"({"format":1,"prober":)") + std::to_string(ProbeCache::prober_version) +
                        R"(,"entries":[)" +
                        R"({"importer":"egl","driver":"bad","version":"1","requirements":)" + wrong + "}," +
                        good + "]}");
        CHECK_FALSE(cache.get({"egl", "bad", "1"}));
        CHECK(cache.remark().find("1 entries were dropped") != std::string::npos);
        const auto kept = cache.get({"egl", "good", "1"});
        REQUIRE(kept);
        CHECK(kept->stride_align == 128);
    }
}

TEST_CASE("bytes changed at random never make more than a wrong value, and negotiation bears that too") {
    testing::TempDir dir;
    const std::string path = dir / "probes.json";
    const ProbeCache cache(path);
    REQUIRE(cache.put(key, measured()));
    const std::string whole = read(path);
    std::mt19937 engine(Catch::getSeed());
    const auto below = [&](std::size_t n) { return static_cast<std::size_t>(engine()) % n; };
    unsigned empty = 0;
    for (int i = 0; i < 1500; ++i) {
        std::string text = whole;
        for (std::size_t n = 1 + below(4); n > 0; --n) {
            const std::size_t at = below(text.size());
            if (below(4) == 0)
                text.resize(at + 1);
            else if (below(3) == 0)
                text.insert(at, text.substr(below(text.size()), below(200)));
            else
                text[at] =
                    static_cast<char>(below(4) == 0 ? below(256) : "0123456789-.eE[]{},:\""[below(21)]);
        }
        write(path, text);
        const auto got = cache.get(key);
        if (!got) {
            ++empty;
            continue;
        }
        const std::vector<Requirements> parties{*got};
        (void)negotiate(parties, ::parties::machine());
        REQUIRE(cache.put(key, *got)); // what was read can be written and read again
        REQUIRE(cache.get(key));
    }
    CHECK(empty > 100);
}

TEST_CASE("only a regular file of ours that nobody else can write is believed") {
    testing::TempDir dir;
    const std::size_t fds = testing::count_fds();
    const std::string path = dir / "probes.json";
    const ProbeCache cache(path);
    REQUIRE(cache.put(key, measured()));
    REQUIRE(cache.get(key));

    fs::permissions(path, fs::perms::others_write, fs::perm_options::add);
    CHECK_FALSE(cache.get(key));
    CHECK(cache.remark().find("others may write") != std::string::npos);
    fs::permissions(path, fs::perms::others_write, fs::perm_options::remove);

    const std::string target = dir / "target";
    fs::rename(path, target);
    fs::create_symlink(target, path);
    CHECK_FALSE(cache.get(key));
    CHECK(cache.remark().find("symbolic link") != std::string::npos);
    const std::string before = read(target);
    REQUIRE(cache.put({"kms", "vkms", "1"}, measured())); // the link is replaced, not followed
    CHECK_FALSE(fs::is_symlink(path));
    CHECK(read(target) == before);

    fs::remove(path);
    REQUIRE(::mkfifo(path.c_str(), 0600) == 0);
    CHECK_FALSE(cache.get(key)); // and does not wait for a writer
    fs::remove(path);
    fs::create_directory(path);
    CHECK_FALSE(cache.get(key));
    CHECK_FALSE(cache.put(key, measured()));
    CHECK(std::distance(fs::directory_iterator(dir.path()), fs::directory_iterator()) ==
          2); // no temporary file left
    CHECK(testing::count_fds() == fds);
}

TEST_CASE("a folder that others may write to is refused, with what to do") {
    testing::TempDir dir;
    fs::create_directory(dir / "open");
    fs::permissions(dir / "open", fs::perms::all);
    const auto put = ProbeCache(dir / "open/probes.json").put(key, measured());
    REQUIRE_FALSE(put);
    CHECK(put.error().code == Code::denied);
    CHECK(put.error().text().find("chmod go-w") != std::string::npos);
}

TEST_CASE("the default path is the user's cache folder, and nothing when there is none") {
    const auto in = [](const char* cache, const char* home) {
        const auto set = [](const char* name, const char* value) {
            return value ? ::setenv(name, value, 1) : ::unsetenv(name);
        };
        const char* old_cache = std::getenv("XDG_CACHE_HOME");
        const char* old_home = std::getenv("HOME");
        const std::string kept_cache = old_cache ? old_cache : "", kept_home = old_home ? old_home : "";
        set("XDG_CACHE_HOME", cache);
        set("HOME", home);
        auto path = ProbeCache::default_path();
        set("XDG_CACHE_HOME", old_cache ? kept_cache.c_str() : nullptr);
        set("HOME", old_home ? kept_home.c_str() : nullptr);
        return path ? *path : std::string(to_string(path.error().code));
    };
    CHECK(in("/x", "/y") == "/x/libshare/probes.json");
    CHECK(in(nullptr, "/y") == "/y/.cache/libshare/probes.json");
    CHECK(in("relative", "/y") == "/y/.cache/libshare/probes.json");
    CHECK(in(nullptr, nullptr) == "unavailable");
}

TEST_CASE("several processes may write at once: a reader sees one whole file or another") {
    testing::TempDir dir;
    const std::string path = dir / "probes.json";
    REQUIRE(ProbeCache(path).put(key, measured()));
    std::array<pid_t, 3> writers{};
    for (std::size_t w = 0; w < writers.size(); ++w) {
        writers[w] = ::fork();
        REQUIRE(writers[w] >= 0);
        if (writers[w] != 0) continue;
        bool good = true;
        for (int i = 0; i < 60; ++i) {
            Requirements party = measured();
            party.known[0].from = std::string(static_cast<std::size_t>(i) * 10, 'x');
            good = good && ProbeCache(path).put({"egl", "writer", std::to_string(w)}, party);
        }
        ::_exit(good ? 0 : 1);
    }
    const ProbeCache reader(path);
    std::size_t running = writers.size();
    while (running > 0) {
        const auto got = reader.get(key);
        REQUIRE(got);
        REQUIRE(reader.remark().empty());
        int status = 0;
        if (::waitpid(-1, &status, WNOHANG) <= 0) continue;
        CHECK(status == 0);
        --running;
    }
    CHECK(std::distance(fs::directory_iterator(dir.path()), fs::directory_iterator()) == 1);
}
