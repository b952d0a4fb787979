// SPDX-License-Identifier: MIT
// Measuring a real party: which strides, plane offsets and paddings does it take? By trying, never by asking.
//
// A room that knows a party (an EGL display, a plane, a server) gives an Attempt: it makes a real buffer of
// the layout it is told, has the party use it, and looks at what came of it. The searches here choose the
// layouts, an awkward picture laid out ever more weakly, and write what they found into Requirements, each
// need with its state and where it is known from:
//   good         this was taken, and the next weaker one refused, or there is none;
//   unprobeable  nothing could be tried, or not even the strongest was taken; the need is left as it was.
// Every layout of a trial lies inside its memory with room to spare, so that a party which rounds a stride
// up reads our bytes and no others; only the trial of height padding has memory to the byte.
// Owner: values. Thread: the party's. Units: pixels, bytes. Errors: those of the Attempt that end it all
// (timed_out, disconnected); a refusal is no error. When the deadline passes the rest stays untried, and says
// so. Source: none; the kinds of needs are those of Requirements.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include <share/api.hpp>
#include <share/deadline.hpp>
#include <share/heap.hpp>
#include <share/layout.hpp>
#include <share/probe_cache.hpp>
#include <share/requirements.hpp>
#include <share/result.hpp>

namespace share {

/// Tries one layout in a memory of layout.size() bytes. Empty: the party used it and all was right. Otherwise
/// why not.
using Attempt = std::function<Result<std::string>(const Layout& layout)>;

struct MeasureOptions {
    /// Of the trial pictures. Odd, so that nothing is aligned by itself.
    std::uint32_t width = 33, height = 17;
    Deadline deadline = Deadline::in(std::chrono::seconds(2));
    /// What the Attempt does, for Known::from: "sampled by llvmpipe".
    std::string how = "tried";
};

/// stride_align, offset_align and height_align of `party`, by pictures of `pair`, a format of one plane.
/// Nothing below a pixel is tried. Errors: also invalid_argument (not such a format).
SHARE_API Result<void> measure_layout(Requirements& party, FormatModifier pair, const Attempt& attempt,
                                      const MeasureOptions& options);

/// offset_align alone, by pictures of that stride, which holds their rows: for who has a stride of its own.
SHARE_API Result<void> measure_offset(Requirements& party, FormatModifier pair, std::uint32_t stride,
                                      const Attempt& attempt, const MeasureOptions& options);

/// max_width and max_height of `party`: pictures of `claimed_width` by 1 and 1 by `claimed_height` pixels,
/// and of half as many while they are refused. Nothing above what is claimed is tried. `least_*`: other side.
struct ClaimedExtent {
    std::uint32_t max_width = 0, max_height = 0;     ///< 0: nothing is claimed, nothing tried
    std::uint32_t least_width = 1, least_height = 1; ///< of the long thin pictures
};
SHARE_API Result<void> measure_extent(Requirements& party, FormatModifier pair, const ClaimedExtent& claimed,
                                      const Attempt& attempt, const MeasureOptions& options);

/// What `cache` has under `key`, named `party` and on `device`; else what measure() finds, which is stored
/// unless the deadline has passed meanwhile: what is incomplete is not worth keeping. `cache` may be null. A
/// cache that cannot be read or written changes nothing but the time it takes.
SHARE_API Result<Requirements> measured_once(const ProbeCache* cache, const ProbeKey& key, std::string party,
                                             std::string device, Deadline deadline,
                                             const std::function<Result<Requirements>()>& measure);
/// For keys: what a driver does changes with the kernel. "6.12.117".
SHARE_API std::string kernel_release();

/// A dma-buf for telling who needs contiguous memory: the pages of a memfd, joined in another order than they
/// were made in, so that they lie next to one another by no chance. Errors: as join().
SHARE_API Result<std::shared_ptr<Memory>> scattered_memory(const HeapTable& heaps, std::uint64_t bytes);

/// Replaces what is known of that need.
SHARE_API void set_known(Requirements& party, Need need, ProbeState state, std::string from);
/// nullptr when nothing is.
SHARE_API const Known* find_known(const Requirements& party, Need need) noexcept;

} // namespace share
