// SPDX-License-Identifier: MIT
// Stories that really happened to people, as tables of parties.
#include <catch2/catch_test_macros.hpp>

#include <algorithm>

#include <share/negotiate.hpp>

#include "parties.hpp"

using namespace share;
using namespace parties;

namespace {

Agreement agreed(const std::vector<Requirements>& parties, const std::vector<HeapOffer>& heaps) {
    auto result = negotiate(parties, heaps);
    if (const auto* conflict = std::get_if<Conflict>(&result)) FAIL(describe(*conflict));
    return std::get<Agreement>(std::move(result));
}

Conflict refused(const std::vector<Requirements>& parties, const std::vector<HeapOffer>& heaps) {
    auto result = negotiate(parties, heaps);
    if (const auto* agreement = std::get_if<Agreement>(&result)) FAIL(describe(*agreement));
    return std::get<Conflict>(std::move(result));
}

/// "camera: contiguity" and so on, sorted as the conflict has them.
std::vector<std::string> claims(const Conflict& conflict) {
    std::vector<std::string> all;
    const auto add = [&](const Claim& claim) {
        all.push_back(claim.party + ": " + std::string(to_string(claim.need)));
    };
    add(conflict.a);
    std::for_each(conflict.others.begin(), conflict.others.end(), add);
    add(conflict.b);
    return all;
}

using Names = std::vector<std::string>;

Requirements decoder() {
    return {.party = "decoder",
            .formats = {choice(format::nv12), choice(format::yuv420)},
            .height_align = 16,
            .cpu_read = Pattern::random,
            .cpu_write = Pattern::random};
}

Requirements amd() {
    Requirements party{.party = "amd", .device = gpu, .formats = {choice(format::nv12)}, .stride_align = 256};
    party.handles = Exports::dmabuf;
    party.known = {{Need::stride, ProbeState::good, "strides of 64 and 128 were refused"}};
    return party;
}

} // namespace

TEST_CASE("a GPU's strides of 256 bytes and a decoder's padded rows are one layout") {
    const auto agreement = agreed({decoder(), amd()}, machine());
    const Candidate& best = agreement.best();
    CHECK(best.heap.name == "udmabuf");
    CHECK(best.rules.stride_align == 256);
    CHECK(best.rules.height_align == 16);
    const auto layout = layout_of(best, 1366, 766);
    REQUIRE(layout);
    CHECK(layout->plane(0).stride == 1536);
    CHECK(layout->plane(1).stride == 1536);
    CHECK(layout->plane(1).offset >= 1536 * 768);
    CHECK(terms(amd(), best)->handle == Exports::dmabuf);
    const auto stride = std::find_if(agreement.decisions.begin(), agreement.decisions.end(),
                                     [](const Decision& decision) { return decision.need == Need::stride; });
    REQUIRE(stride != agreement.decisions.end());
    CHECK(stride->party == "amd");
    CHECK(stride->text == "a stride that is a multiple of 256 (good: strides of 64 and 128 were refused)");
}

TEST_CASE("a camera that wants contiguous memory gets it, or is told that scattered memory is all there is") {
    Requirements camera{
        .party = "camera", .device = "/dev/video0", .contiguous = true, .device_writes = true};
    Requirements display{.party = "display", .device = gpu, .handles = Exports::dmabuf};
    CHECK(agreed({camera, display}, machine()).best().heap.name == "dma-heap:linux,cma");

    const auto conflict = refused({camera, display}, {udmabuf(), memfd()});
    CHECK(claims(conflict) == Names{"camera: contiguity", "this machine: heap"});
    CHECK(conflict.b.text == "only udmabuf (cached, dma-buf, memfd), memfd (cached, memfd)");

    Requirements shm{.party = "shm client", .handles = Exports::memfd};
    CHECK(claims(refused({camera, shm}, machine())) == Names{"camera: contiguity", "shm client: handle"});
}

TEST_CASE("memory that a peer cannot write is no udmabuf") {
    Requirements secretive{.party = "editor", .cpu_write = Pattern::sequential, .read_only_to_peers = true};
    Requirements scanout{.party = "scan-out", .device = gpu, .handles = Exports::dmabuf};
    CHECK(claims(refused({secretive, scanout}, machine())) ==
          Names{"editor: read-only to peers", "scan-out: handle"});

    Requirements reader{.party = "viewer", .cpu_read = Pattern::sequential};
    secretive.formats = {choice(format::xrgb8888)};
    const auto agreement = agreed({secretive, reader}, machine());
    CHECK(agreement.best().sealed);
    CHECK(agreement.best().writer == "editor");
    CHECK(agreement.best().exports == Exports::memfd);

    // No heap seals yet, and writable memory does not pass for it.
    const auto allocated = allocate(agreement, HeapTable::probe(), 64, 64, "secret");
    REQUIRE_FALSE(allocated);
    CHECK(allocated.error().code == Code::unsupported);
    CHECK(allocated.error().text().find("F_SEAL_FUTURE_WRITE") != std::string::npos);

    Requirements retoucher{.party = "retoucher", .cpu_write = Pattern::random};
    CHECK(claims(refused({secretive, retoucher}, machine())) ==
          Names{"editor: read-only to peers", "retoucher: writing"});
}

TEST_CASE("the implicit layout of one GPU is never agreed on with another") {
    Requirements renderer{.party = "renderer",
                          .device = gpu,
                          .formats = {choice(format::xrgb8888, modifier::none)},
                          .device_writes = true};
    Requirements screen{
        .party = "screen", .device = other_gpu, .formats = {choice(format::xrgb8888, modifier::none)}};
    const std::vector<HeapOffer> heaps{udmabuf(), driver(gpu), driver(other_gpu)};
    CHECK(claims(refused({renderer, screen}, heaps)) == Names{"renderer: format", "screen: format"});

    screen.device = gpu;
    const auto same = agreed({renderer, screen}, heaps);
    REQUIRE(same.choices.size() == 1);
    CHECK(same.best().pair.modifier == modifier::none);
    CHECK(same.best().device == gpu);
    CHECK(same.best().heap.device == gpu);

    // LINEAR on one side and nothing on the other are not the same thing ...
    screen.device = other_gpu;
    screen.formats = {choice(format::xrgb8888)};
    CHECK(claims(refused({renderer, screen}, heaps)) == Names{"renderer: format", "screen: format"});
    // ... until it was measured that it is.
    renderer.formats = {implicit_rows(format::xrgb8888)};
    const auto rows = agreed({renderer, screen}, heaps);
    CHECK(rows.best().pair.modifier == modifier::linear);
    CHECK(terms(renderer, rows.best())->modifier == modifier::none);
    CHECK(terms(screen, rows.best())->modifier == modifier::linear);
}

TEST_CASE("a device without an opinion on formats still takes no other device's implicit layout") {
    Requirements renderer{
        .party = "renderer", .device = gpu, .formats = {choice(format::xrgb8888, modifier::none)}};
    Requirements encoder{.party = "encoder", .device = other_gpu};
    CHECK(claims(refused({renderer, encoder}, {driver(gpu)})) ==
          Names{"encoder: format", "renderer: format"});
}

TEST_CASE("NV12 in one buffer: planes that follow, for who knows one stride only") {
    Requirements camera{.party = "camera",
                        .device = "/dev/video0",
                        .formats = {choice(format::nv12)},
                        .stride_align = 32,
                        .height_align = 16,
                        .planes_follow = true,
                        .device_writes = true};
    const auto agreement = agreed({camera, amd()}, machine());
    const auto layout = layout_of(agreement.best(), 1920, 1080);
    REQUIRE(layout);
    CHECK(layout->plane(0).stride == 2048);
    CHECK(layout->plane(1).stride == 2048);
    CHECK(layout->plane(1).offset == 2048 * 1088);
}

TEST_CASE("YU12 all the way from a software decoder to a small board's scan-out") {
    Requirements software{.party = "software decoder",
                          .formats = {choice(format::yuv420)},
                          .cpu_read = Pattern::random,
                          .cpu_write = Pattern::random};
    Requirements vc4{.party = "scan-out",
                     .device = "/dev/dri/card0",
                     .formats = {choice(format::xrgb8888), choice(format::nv12), choice(format::yuv420)},
                     .stride_align = 64,
                     .handles = Exports::dmabuf};
    // The display controller has an address translation: scattered memory will do, and is cached.
    const auto scattered = agreed({software, vc4}, machine());
    CHECK(scattered.best().pair.format == format::yuv420);
    CHECK(scattered.best().heap.name == "udmabuf");
    REQUIRE(scattered.choices.size() == 3);
    CHECK(scattered.choices[1].candidate.heap.name == "dma-heap:linux,cma");
    CHECK(scattered.choices[1].because == Criterion::pinned);
    CHECK(scattered.choices[2].candidate.heap.name == "dumb:card0");
    CHECK(scattered.choices[2].because == Criterion::cpu_cost);

    // The older one has not.
    vc4.contiguous = true;
    CHECK(agreed({software, vc4}, machine()).best().heap.name == "dma-heap:linux,cma");
    // And a decoder that knows NV12 only finds nobody who would convert.
    software.formats = {choice(format::yuv444)};
    CHECK(claims(refused({software, vc4}, machine())) ==
          Names{"scan-out: format", "software decoder: format"});
}

TEST_CASE("the parties' own order of formats decides, the sum of places") {
    const auto lists = [](std::initializer_list<Fourcc> formats) {
        std::vector<FormatChoice> list;
        for (const Fourcc code : formats)
            list.push_back(choice(code));
        return list;
    };
    Requirements a{.party = "a", .formats = lists({format::xrgb8888, format::nv12, format::yuv420})};
    Requirements b{.party = "b", .formats = lists({format::nv12, format::yuv420, format::xrgb8888})};
    const auto agreement = agreed({a, b}, {udmabuf()});
    REQUIRE(agreement.choices.size() == 3);
    CHECK(agreement.choices[0].candidate.pair.format == format::nv12);     // 1 + 0
    CHECK(agreement.choices[1].candidate.pair.format == format::xrgb8888); // 0 + 2
    CHECK(agreement.choices[1].because == Criterion::format_rank);
    CHECK(agreement.choices[2].candidate.pair.format == format::yuv420); // 2 + 1
}

TEST_CASE("what was measured comes before what was only said, and what failed not at all") {
    Requirements party{.party = "p",
                       .formats = {choice(format::xrgb8888, modifier::linear, ProbeState::bad),
                                   choice(format::nv12, modifier::linear, ProbeState::unprobeable)}};
    Requirements other{.party = "q", .formats = {choice(format::nv12), choice(format::xrgb8888)}};
    const auto agreement = agreed({party, other}, {udmabuf()});
    REQUIRE(agreement.choices.size() == 1);
    CHECK(agreement.best().pair.format == format::nv12);
    CHECK(agreement.best().state == ProbeState::unprobeable);

    party.formats.pop_back();
    const auto conflict = refused({party}, {udmabuf()});
    CHECK(claims(conflict) == Names{"p: format", "p: format"});
    CHECK(conflict.b.text == "none of them works");
}

TEST_CASE("a conflict between three, of whom any two agree, names the ring") {
    Requirements a{.party = "a", .formats = {choice(format::xrgb8888), choice(format::nv12)}};
    Requirements b{.party = "b", .formats = {choice(format::nv12), choice(format::yuv420)}};
    Requirements c{.party = "c", .formats = {choice(format::xrgb8888), choice(format::yuv420)}};
    Requirements bystander{.party = "bystander", .stride_align = 256, .handles = Exports::dmabuf};
    const auto conflict = refused({c, bystander, b, a}, machine());
    CHECK(claims(conflict) == Names{"a: format", "b: format", "c: format"});
    CHECK(conflict.a.party == "a");
    CHECK(conflict.b.party == "c");
    CHECK(
        describe(conflict).ends_with("not all can be had here, though without any one of them the rest can"));
}

TEST_CASE("a picture that no stride in bounds can hold is a conflict of those two") {
    Requirements camera{.party = "camera",
                        .formats = {choice(format::xrgb8888)},
                        .min_width = 3840,
                        .min_height = 2160,
                        .device_writes = true};
    Requirements old{.party = "old display", .max_stride = 8192};
    CHECK(claims(refused({camera, old}, machine())) ==
          Names{"camera: format", "camera: picture", "old display: max stride"});
    camera.min_width = 1920;
    const auto agreement = agreed({camera, old}, machine());
    CHECK(layout_of(agreement.best(), 2048, 2160).ok());
    const auto wide = layout_of(agreement.best(), 2049, 2160);
    REQUIRE_FALSE(wide);
    CHECK(wide.error().code == Code::limit);
}

TEST_CASE("alignments that nobody asked for are taken where they cost nobody a picture") {
    Requirements party{.party = "p", .formats = {choice(format::yuv420)}};
    CHECK(agreed({party}, machine()).best().rules.stride_align == LayoutRules{}.stride_align);
    CHECK(agreed({party}, machine()).best().rules.offset_align == LayoutRules{}.offset_align);
    // Every width up to the limit can be had, with planes that follow (its half must be whole too) or
    // without.
    party.max_stride = 192;
    for (const bool follow : {false, true}) {
        party.planes_follow = follow;
        const auto agreement = agreed({party}, machine());
        for (const std::uint32_t width : {1U, 129U, 191U, 192U})
            CHECK(layout_of(agreement.best(), width, 16).ok());
    }
    // Planes that follow are not pushed apart by padding for an alignment that nobody wants.
    party.max_stride = UINT32_MAX;
    party.planes_follow = true;
    const auto follows = layout_of(agreed({party}, machine()).best(), 100, 30);
    REQUIRE(follows);
    CHECK(follows->plane(1).offset == 30 * follows->plane(0).stride);
    // Rows without end: only the tightest layout keeps below the largest one.
    party = {.party = "p", .formats = {choice(format::r8)}, .height_align = 1U << 31};
    CHECK(agreed({party}, machine()).best().rules.stride_align == 1);
}

TEST_CASE("who asked for consistent sharing is in the agreement, and who must not have it conflicts") {
    Requirements ui{.party = "ui", .cpu_write = Pattern::random, .sharing = Sharing::consistent};
    Requirements screen{.party = "screen"};
    const auto agreement = agreed({ui, screen}, machine());
    CHECK(agreement.best().sharing == Sharing::consistent);
    CHECK(agreement.best().sharing_by == "ui");
    screen.sharing = Sharing::consistent; // both: the first by name, in whatever order they come
    CHECK(agreed({ui, screen}, machine()).best().sharing_by == "screen");
    CHECK(agreed({screen, ui}, machine()).best().sharing_by == "screen");
    screen.sharing = Sharing::exclusive;
    CHECK(claims(refused({ui, screen}, machine())) == Names{"screen: sharing", "ui: sharing"});
    const auto nobody = agreed({{.party = "x"}}, machine());
    CHECK(nobody.best().sharing == Sharing::exclusive);
    CHECK(nobody.best().sharing_by.empty());
}

TEST_CASE("protected memory is for who needs no CPU") {
    Requirements player{.party = "player", .device = gpu, .device_only = true, .device_writes = true};
    Requirements screen{.party = "screen", .device = gpu, .handles = Exports::dmabuf};
    const auto agreement = agreed({player, screen}, machine());
    CHECK(agreement.best().device_only);
    CHECK(allocate_options(agreement.best()).device_only);
    Requirements recorder{.party = "recorder", .cpu_read = Pattern::sequential};
    CHECK(claims(refused({player, screen, recorder}, machine())) ==
          Names{"player: device-only", "recorder: CPU access"});
}

TEST_CASE("two parties of one name are refused: no answer could name them") {
    const auto conflict = refused({{.party = "x"}, {.party = "x"}}, machine());
    CHECK(claims(conflict) == Names{"x: name", "x: name"});
    CHECK(describe(conflict) == "two parties have the name 'x'; give each its own");
}

TEST_CASE("without memory or without parties the answer is still one") {
    CHECK(claims(refused({{.party = "x"}}, {})) == Names{"x: heap", "this machine: heap"});
    CHECK(claims(refused({}, {})) == Names{"nobody: heap", "this machine: heap"});
    const auto agreement = agreed({}, {memfd()});
    CHECK(agreement.best().heap.name == "memfd");
    CHECK(agreement.best().pair.format == 0);
    CHECK(layout_of(agreement.best(), 64, 64).error().code == Code::invalid_argument);
}

TEST_CASE("an agreement that nobody filled in has no words, and gives no memory") {
    CHECK(describe(Agreement{}).empty());
    CHECK(allocate({}, HeapTable::probe(), 64, 64, "none").error().code == Code::invalid_argument);
}

TEST_CASE("a picture that just fits the bytes of a party is not padded out of them") {
    Requirements small{.party = "encoder", .formats = {choice(format::xrgb8888)}, .max_bytes = 1U << 20};
    const auto agreement = agreed({small}, {memfd()});
    const auto layout = layout_of(agreement.best(), 500, 520);
    REQUIRE(layout);
    CHECK(layout->size() == 500 * 520 * 4);
    CHECK_FALSE(layout_of(agreement.best(), 520, 520));
}

TEST_CASE("an agreement becomes memory on this machine, by the first candidate that can be had") {
    const auto heaps = HeapTable::probe();
    auto offers = offers_of(heaps);
    REQUIRE_FALSE(offers.empty());
    offers.insert(offers.begin(), dumb()); // which this table does not have
    Requirements painter{.party = "painter",
                         .formats = {choice(format::xrgb8888)},
                         .cpu_write = Pattern::sequential,
                         .handles = Exports::memfd | Exports::dmabuf};
    const auto agreement = agreed({painter}, offers);
    const auto allocated = allocate(agreement, heaps, 640, 480, "negotiated");
    REQUIRE(allocated);
    CHECK(allocated->layout.width() == 640);
    CHECK(allocated->memory->size() >= allocated->layout.size());
    CHECK(allocated->memory->heap() == allocated->candidate.heap.name);

    const auto nowhere = agreed({painter}, {dumb()});
    const auto failed = allocate(nowhere, heaps, 640, 480, "negotiated");
    REQUIRE_FALSE(failed);
    CHECK(failed.error().text().find("dumb:card0") != std::string::npos);
}
