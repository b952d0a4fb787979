// SPDX-License-Identifier: MIT
// probe_formats(): what may be advertised, measured with buffers of our own instead of believed.
//
// LINEAR and implicit pairs are tried: a small buffer from a heap is handed to the importer. Tiled and
// compressed modifiers cannot be made by us: unprobeable, passed on as the driver says it. Advertise good
// and unprobeable. Thread: the caller's. Errors: in the results, never thrown away.
#pragma once

#include <concepts>
#include <string>
#include <string_view>
#include <vector>

#include <share/buffer.hpp>
#include <share/heap.hpp>
#include <share/probe.hpp>
#include <share/wayland_server/linux_dmabuf.hpp>

namespace share::wayland_server {

struct ProbeResult {
    FormatModifier pair;
    ProbeState state = ProbeState::unprobeable;
    std::string reason; ///< for bad and unprobeable: why
};

/// Tries one buffer; an interface instead of a callback object, so that a renderer can be it.
class SHARE_API ImportTrial {
public:
    virtual ~ImportTrial();
    virtual Result<void> try_import(const std::shared_ptr<Buffer>& buffer) = 0;
};

/// One result for each candidate, in order. Probe buffers are 64x64 and come from `heap`.
SHARE_API std::vector<ProbeResult> probe_formats(std::span<const FormatModifier> candidates, Heap& heap,
                                                 ImportTrial& trial);

/// The same with any callable `Result<T>(const std::shared_ptr<Buffer>&)`.
template<class F>
    requires std::invocable<F&, const std::shared_ptr<Buffer>&>
std::vector<ProbeResult> probe_formats(std::span<const FormatModifier> candidates, Heap& heap, F&& attempt) {
    struct Trial final : ImportTrial {
        explicit Trial(F& call) : call_(call) {}
        Result<void> try_import(const std::shared_ptr<Buffer>& buffer) override {
            auto result = call_(buffer);
            if (!result) return std::move(result).error();
            return {};
        }
        F& call_;
    } trial(attempt);
    return probe_formats(candidates, heap, static_cast<ImportTrial&>(trial));
}

/// Good and unprobeable pairs: what to advertise.
SHARE_API std::vector<FormatModifier> offered(std::span<const ProbeResult> results);

} // namespace share::wayland_server
