// SPDX-License-Identifier: MIT
#include <share/guard.hpp>

#include <utility>

#include <fmt/format.h>

#include "sync/guard_core.hpp"

namespace share {

std::string GuardReport::text() const {
    return fmt::format(
        "{} at {:#x} (byte {:#x} of its memory) by thread {} without a bracket on the {}: {}; {}",
        write ? "write" : "read", address, offset, thread, buffer, holder,
        what == What::let_through
            ? std::string("the access was let through")
            : fmt::format("the access has waited for {} ms and goes on waiting", waited.count()));
}

struct Guard::State {
    std::shared_ptr<Buffer> buffer;
    std::shared_ptr<detail::GuardCore> core;
    GuardMeans means = GuardMeans::userfaultfd;
    std::optional<Error> fallback_reason;
    ~State() {
        if (core) detail::GuardCore::stop(core);
    }
};

namespace {

Result<void> check(const Buffer& buffer, const GuardOptions& options) {
    const char* operation = "guarding a buffer";
    if (buffer.sharing() == Sharing::consistent)
        return make_error(Code::invalid_argument, operation,
                          fmt::format("it is consistent ({} wanted that), so nobody ever has to wait for it",
                                      buffer.decided_by()));
    if (!buffer.layout().row_addressable())
        return make_error(Code::unsupported, operation,
                          fmt::format("its modifier {} is tiled: no CPU access to it makes sense",
                                      modifier_text(buffer.layout().modifier())));
    if (options.mode == GuardMode::report && !options.report)
        return make_error(Code::invalid_argument, operation, "mode report needs somebody to report to");
    return {};
}

/// Not when there are too few fds, threads or memory now: that passes, and then it can be had.
bool userfaultfd_missing(const Error& error) {
    return error.operation == os::userfaultfd_operation &&
           (error.code == Code::denied || error.code == Code::unsupported);
}

} // namespace

Guard::Guard(std::unique_ptr<State> state) noexcept : state_(std::move(state)) {}
Guard::Guard(Guard&&) noexcept = default;
Guard& Guard::operator=(Guard&&) noexcept = default;
Guard::~Guard() = default;

Result<Guard> Guard::create(std::shared_ptr<Buffer> buffer, GuardOptions options) {
    assert(buffer);
    if (auto right = check(*buffer, options); !right) return std::move(right).error();
    auto state = std::make_unique<State>();
    state->buffer = buffer;
    auto core = std::make_shared<detail::GuardCore>(buffer, options);
    auto started = detail::GuardCore::start(core, detail::Means::userfaultfd);
    if (!started && userfaultfd_missing(started.error())) {
        state->fallback_reason = started.error();
        state->means = GuardMeans::mprotect;
        core = std::make_shared<detail::GuardCore>(std::move(buffer), std::move(options));
        started = detail::GuardCore::start(core, detail::Means::mprotect);
        if (!started && started.error().code == Code::unavailable) {
            started.error().operation = state->fallback_reason->text();
            started.error().detail =
                "to have wrong accesses reported by mprotect and SIGSEGV instead of held back, "
                "the program must call share::install_guard_reporter() first";
        }
    }
    if (!started) return std::move(started).error();
    state->core = std::move(core);
    return Guard(std::move(state));
}

const std::shared_ptr<Buffer>& Guard::buffer() const noexcept {
    return state_->buffer;
}
GuardMeans Guard::means() const noexcept {
    return state_->means;
}
const std::optional<Error>& Guard::fallback_reason() const noexcept {
    return state_->fallback_reason;
}
Guard::Counts Guard::counts() const {
    return state_->core->counts();
}

Result<void> install_guard_reporter() {
    return os::install_reporter();
}
bool guard_reporter_installed() noexcept {
    return os::reporter_installed();
}

} // namespace share
