// SPDX-License-Identifier: MIT
// Stock Weston's DRM backend on vkms, with share-producer's picture on it: what is scanned out is the
// picture, and nobody of ours copied a byte. Weston's gl renderer leans on the patch 0002-vkms-map-imported.
// Run inside the test VM, as root.
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <signal.h>

#include <filesystem>
#include <sstream>

#include <nlohmann/json.hpp>

#include "display.hpp"
#include "kms_support.hpp"
#include "pagemap.hpp"
#include "unchanged.hpp"

namespace {

using namespace testing; // NOLINT(google-build-using-namespace)
namespace fs = std::filesystem;

class Weston {
public:
    explicit Weston(const std::string& renderer)
        : process_({.env = {"XDG_RUNTIME_DIR=" + dir_.path().string(), "HOME=" + dir_.path().string(),
                            "SEATD_VTBOUND=0", "LIBSEAT_BACKEND=builtin", "WAYLAND_DISPLAY", "DISPLAY"},
                    .args = {"weston", "--backend=drm", "--drm-device=" + vkms_card(),
                             "--renderer=" + renderer, "--continue-without-input", "--no-config",
                             "--idle-time=0", "--shell=kiosk", "--socket=test"}}) {
        eventually([&] { return fs::exists(dir_ / "test") || !process_.running(); },
                   std::chrono::seconds(30));
        INFO(process_.out() << process_.err());
        REQUIRE(fs::exists(dir_ / "test"));
        device_ = kms_device();
    }
    share::kms::Device& device() { return *device_; }
    std::vector<std::string> env() const {
        return {"XDG_RUNTIME_DIR=" + dir_.path().string(), "WAYLAND_DISPLAY=test", "DISPLAY"};
    }
    Process& process() { return process_; }

private:
    TempDir dir_;
    Process process_;
    std::shared_ptr<share::kms::Device> device_;
};

struct Card {
    TempDir dir;
    std::string jpeg = dir / "card.jpg";
    Picture picture;

    Card() {
        if (!have_program("weston")) SKIP("weston is not installed");
        if (!have_program("djpeg")) SKIP("djpeg is not installed");
        const auto made =
            run({.args = {built("producer/share-producer"), "--test-card=" + jpeg, "--size=1024x768"}});
        REQUIRE(made.status == 0);
        REQUIRE(run({.args = {"djpeg", "-pnm", "-outfile", dir / "card.ppm", jpeg}}).status == 0);
        auto loaded = load_ppm(dir / "card.ppm");
        REQUIRE(loaded);
        picture = std::move(*loaded);
    }
};

Process produce(Weston& weston, const Card& card, std::vector<std::string> more) {
    std::vector<std::string> args{built("producer/share-producer"), "--fullscreen", "--explain=json",
                                  card.jpeg};
    args.insert(args.end(), more.begin(), more.end());
    return Process({.env = weston.env(), .args = std::move(args)});
}

nlohmann::json summary_of(Process& producer) {
    producer.signal(SIGTERM);
    REQUIRE(producer.wait(std::chrono::seconds(20)) == 0);
    std::istringstream lines(producer.out());
    nlohmann::json summary;
    for (std::string line; std::getline(lines, line);)
        if (auto one = nlohmann::json::parse(line); one["type"] == "summary") summary = one;
    return summary;
}

/// The inode in the name that our udmabuf heap gives its dma-bufs, "memfd:INODE+OFFSET"; 0 for any other.
std::uint64_t memfd_of(int dmabuf) {
    const std::string name = fdinfo(dmabuf, "name");
    return name.starts_with("memfd:") ? std::stoull(name.substr(6)) : 0;
}

} // namespace

TEST_CASE(
    "Weston on a display controller shows the producer's picture, of which nobody of ours copied a byte",
    "[vm][weston]") {
    const Card card;
    start_udev();
    const Unchanged unchanged;
    const std::string renderer = GENERATE("pixman", "gl");
    CAPTURE(renderer);
    Weston weston(renderer);
    auto producer = produce(weston, card, {});
    const auto difference = wait_for_picture(weston.device(), 0, 0, card.picture);
    INFO(producer.err() << weston.process().out() << weston.process().err());
    CHECK(difference.largest == 0);

    const auto summary = summary_of(producer);
    INFO(summary.dump());
    CHECK(summary["totals"]["copied_by_us"] == 0);
    CHECK(summary["totals"]["converted"] == 0);
    CHECK(summary["totals"]["frames"] >= 1);
    // Weston's pixman renderer takes no dma-bufs; with gl a real one is taken.
    const std::string path = renderer == "gl" ? "udmabuf" : "wl_shm";
    CHECK(summary["totals"]["frames_by_mechanism"].contains(path));
}

TEST_CASE("a fullscreen stream of udmabufs is scanned out from the producer's own pages", "[vm][weston]") {
    const Card card;
    start_udev();
    const Unchanged unchanged;
    Weston weston("gl");
    // Again and again the same picture: Weston moves a window to the display's own plane when it is
    // repainted.
    auto producer = produce(weston, card, {"--interval=0.2", "--frames=1000"});
    std::uint64_t memfd = 0;
    std::optional<OnDisplay> seen;
    eventually(
        [&] {
            seen = look_at_display(weston.device());
            if (seen) memfd = memfd_of(seen->dmabuf.get());
            return memfd != 0;
        },
        std::chrono::seconds(20));
    INFO(producer.err() << weston.process().out());
    REQUIRE(memfd != 0);
    eventually([&] { return producer.out().find("\"frame\":4") != std::string::npos; });
    CHECK(difference_at(seen->picture, 0, 0, card.picture).largest == 0);
    CHECK_FALSE(maps_of_inode(producer.pid(), memfd, "memfd:").empty());
    seen.reset();

    const auto summary = summary_of(producer);
    INFO(summary.dump());
    CHECK(summary["totals"]["copied_by_us"] == 0);
    bool told = false;
    for (const auto& note : summary["notes"])
        told =
            told || note["text"].get<std::string>().find("reads our buffer itself: yes") != std::string::npos;
    CHECK(told);
}
