// SPDX-License-Identifier: MIT
// Three invented devices agree on one buffer; then one need is changed, and two of them are named instead.
//
// Everything is data, so this runs the same on every machine: no device is opened, nothing is allocated.
#include <share/share.hpp>

#include <cstdio>
#include <vector>

using namespace share;

namespace {

constexpr std::uint64_t vendor_tiles = 0x0200000000000001ULL;

FormatChoice takes(Fourcc format, std::uint64_t modifier, ProbeState state, const char* from) {
    FormatChoice choice;
    choice.pair = {format, modifier};
    choice.state = state;
    choice.from = from;
    return choice;
}

/// A camera without address translation: contiguous memory, one stride for both planes.
Requirements camera() {
    Requirements r{.party = "camera", .device = "/dev/video0"};
    r.formats = {takes(format::nv12, modifier::linear, ProbeState::good, "streamed 3 frames"),
                 takes(format::yuyv, modifier::linear, ProbeState::good, "streamed 3 frames")};
    r.stride_align = 32;
    r.height_align = 16;
    r.planes_follow = true;
    r.min_width = 1920, r.min_height = 1080;
    r.contiguous = true;
    r.device_writes = true;
    r.handles = Exports::dmabuf;
    return r;
}

/// A GPU that prefers its own tiles, and whose linear strides are multiples of 256 bytes.
Requirements gpu() {
    Requirements r{.party = "gpu", .device = "/dev/dri/renderD128"};
    r.formats = {
        takes(format::nv12, vendor_tiles, ProbeState::unprobeable, "the driver's list"),
        takes(format::nv12, modifier::linear, ProbeState::good, "imported and sampled"),
        takes(format::yuyv, modifier::linear, ProbeState::bad, "advertised, but wrong colours came back")};
    r.stride_align = 256;
    r.known = {{Need::stride, ProbeState::good, "strides of 64 and 128 were refused"}};
    r.handles = Exports::dmabuf;
    return r;
}

/// A program that looks for faces in what the camera saw, with the CPU.
Requirements detector() {
    Requirements r{.party = "face detector"};
    r.cpu_read = Pattern::random;
    return r;
}

/// What an invented board has: scattered memory, and a reserved contiguous region.
std::vector<HeapOffer> board() {
    HeapOffer udmabuf{.name = "udmabuf"};
    udmabuf.traits.contiguous = Tristate::no;
    udmabuf.traits.cache = CachePolicy::cached;
    udmabuf.traits.swappable = true;
    udmabuf.traits.exports = Exports::memfd | Exports::dmabuf;
    HeapOffer reserved{.name = "dma-heap:reserved"};
    reserved.traits.kind = MemoryKind::dmabuf;
    reserved.traits.contiguous = Tristate::yes;
    reserved.traits.cache = CachePolicy::cached;
    reserved.traits.exports = Exports::dmabuf;
    return {udmabuf, reserved};
}

bool show(const std::vector<Requirements>& parties, const std::vector<HeapOffer>& heaps) {
    const Negotiation result = negotiate(parties, heaps);
    if (const auto* conflict = std::get_if<Conflict>(&result)) {
        std::printf("Conflict: %s\n", describe(*conflict).c_str());
        return false;
    }
    const auto& agreement = std::get<Agreement>(result);
    std::printf("Agreement:\n%s\n", describe(agreement).c_str());
    const auto layout = layout_of(agreement.best(), 1920, 1080);
    if (!layout) return false;
    for (std::size_t i = 0; i < layout->plane_count(); ++i)
        std::printf("   plane %zu of 1920x1080: offset %llu, stride %u\n", i,
                    static_cast<unsigned long long>(layout->plane(i).offset), layout->plane(i).stride);
    for (const Requirements& party : parties)
        std::printf("   %s gets: %s\n", party.party.c_str(),
                    to_string(terms(party, agreement.best())->handle).c_str());
    return true;
}

} // namespace

int main() {
    const std::vector<Requirements> parties{camera(), gpu(), detector()};
    for (const Requirements& party : parties)
        std::printf("%s\n\n", describe(party).c_str());
    const bool agreed = show(parties, board());

    std::printf("\nNow the face detector runs in a process that understands memfds only:\n\n");
    auto changed = parties;
    changed[2].handles = Exports::memfd;
    const bool agreed_still = show(changed, board());
    return agreed && !agreed_still ? 0 : 1;
}
