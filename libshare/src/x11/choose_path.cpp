// SPDX-License-Identifier: MIT
#include "choose_path.hpp"

#include <fmt/format.h>

namespace share::x11 {

namespace {

constexpr const char* frames_name = "libshare frames";

/// A refusal that another path cannot mend.
bool final(const Error& error) {
    return error.code == Code::timed_out || error.code == Code::disconnected;
}

Result<ShmSupport> shm_on(Connection& connection, Deadline deadline) {
    if (!connection.passes_fds())
        return make_error(
            Code::unsupported, "sharing memory with the X server",
            fmt::format("display '{}' is connected by TCP: no fd can be passed, and servers refuse "
                        "MIT-SHM to remote clients",
                        connection.display()));
    return query_shm(connection, deadline);
}

/// A stream that is made anew for each size of picture tells its path once.
void note_once(Ledger& ledger, const std::string& about, std::string text) {
    for (const auto& note : ledger.notes())
        if (note.about == about && note.text == text) return;
    ledger.note(about, std::move(text));
}

using MakeShm = Result<std::unique_ptr<Transport>> (*)(const Target&, const ShmSupport&, const Pool&,
                                                       Deadline);

Result<ChosenPath> try_shm(MakeShm make, const char* heap_name, const Result<ShmSupport>& shm,
                           const Target& target, const Layout& layout, std::uint32_t slots,
                           const HeapTable& heaps, Deadline deadline) {
    if (!shm) return shm.error();
    auto heap = heaps.find(heap_name);
    if (!heap) return std::move(heap).error();
    auto pool = Pool::create(**heap, layout, slots, frames_name);
    if (!pool) return std::move(pool).error();
    auto transport = make(target, *shm, *pool, deadline);
    if (!transport) return std::move(transport).error();
    return ChosenPath{std::move(*pool), std::move(*transport)};
}

Result<ChosenPath> try_socket(const Target& target, const Layout& layout, std::uint32_t slots,
                              const HeapTable& heaps) {
    auto heap = heaps.first_of({"memfd", "sysv"});
    if (!heap) return std::move(heap).error();
    auto pool = Pool::create(**heap, layout, slots, frames_name);
    if (!pool) return std::move(pool).error();
    return ChosenPath{std::move(*pool), make_socket(target)};
}

} // namespace

Result<ChosenPath> choose_path(const Target& target, const Layout& layout, std::uint32_t slots, Path wanted,
                               const HeapTable& heaps, Ledger& ledger, Deadline deadline) {
    const auto asked = [wanted](Path path) { return wanted == Path::automatic || wanted == path; };
    Result<ShmSupport> shm = make_error(Code::unsupported, "", "");
    if (wanted != Path::socket) shm = shm_on(*target.connection, deadline);

    struct Candidate {
        Path path;
        Mechanism mechanism;
        const char* heap;
        MakeShm make; ///< null: the socket
    };
    constexpr Candidate candidates[] = {{Path::fd, Mechanism::mit_shm_fd, "memfd", &make_shm_fd},
                                        {Path::sysv, Mechanism::mit_shm_sysv, "sysv", &make_shm_sysv},
                                        {Path::socket, Mechanism::x_socket, "", nullptr}};
    std::optional<Error> last;
    for (const auto& c : candidates) {
        const std::string about(to_string(c.mechanism));
        if (!asked(c.path)) {
            note_once(ledger, about, fmt::format("not tried: path '{}' was asked for", to_string(wanted)));
            continue;
        }
        auto chosen = c.make ? try_shm(c.make, c.heap, shm, target, layout, slots, heaps, deadline)
                             : try_socket(target, layout, slots, heaps);
        if (chosen) {
            note_once(ledger, about,
                      fmt::format("taken on X display '{}', window 0x{:x}", target.connection->display(),
                                  target.window));
            return chosen;
        }
        if (final(chosen.error())) return chosen;
        note_once(ledger, about, "not taken: " + chosen.error().text());
        last = std::move(chosen).error();
    }
    return last ? *last
                : make_error(Code::unsupported, "choosing a path to the X server", "none was asked for");
}

} // namespace share::x11
