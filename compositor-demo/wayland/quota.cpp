// SPDX-License-Identifier: MIT
#include "wayland/quota.hpp"

#include <fmt/format.h>

namespace compositor::wayland {

struct Quota::Entry {
    wl_listener listener{}; // first: the entry is found from it
    Quota* owner = nullptr;
    std::shared_ptr<Counts> counts = std::make_shared<Counts>();
    ~Entry() { wl_list_remove(&listener.link); }
};

Quota::Token::Token(std::shared_ptr<Counts> counts, Kind kind) noexcept
    : counts_(std::move(counts)), kind_(kind) {}

Quota::Token::~Token() {
    if (counts_) --(*counts_)[static_cast<std::size_t>(kind_)];
}

Quota::Quota() = default;
Quota::~Quota() = default;

void Quota::client_gone(wl_listener* listener, void* client) noexcept {
    auto* entry = reinterpret_cast<Entry*>(listener);
    entry->owner->entries_.erase(static_cast<wl_client*>(client));
}

Quota::Token Quota::take(wl_client* client, Kind kind) {
    auto& entry = entries_[client];
    if (!entry) {
        entry = std::make_unique<Entry>();
        entry->owner = this;
        entry->listener.notify = &client_gone;
        wl_client_add_destroy_listener(client, &entry->listener);
    }
    auto& count = (*entry->counts)[static_cast<std::size_t>(kind)];
    if (count >= limits[static_cast<std::size_t>(kind)]) return {};
    ++count;
    return {entry->counts, kind};
}

share::wayland_server::Refusal Quota::refusal(Kind kind) {
    constexpr std::array<const char*, kinds> names{"surfaces", "regions", "callbacks", "buffers", "objects"};
    const auto i = static_cast<std::size_t>(kind);
    return refuse_no_memory(fmt::format("more than {} {} of one client", limits[i], names[i]));
}

} // namespace compositor::wayland
