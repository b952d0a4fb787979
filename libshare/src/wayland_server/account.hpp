// SPDX-License-Identifier: MIT
// Account: what one client holds, and Charge: one held piece of it. Accounts: the Account of each client.
// An Account lives as long as its client or any Charge. Thread: the display's. Errors: an empty optional.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <unordered_map>
#include <utility>

#include <wayland-server-core.h>

namespace share::wayland_server {

enum class Use : std::uint8_t { objects, fds, buffers, bytes, mappings, mapped_bytes };
inline constexpr std::size_t use_count = 6;
using Limits = std::array<std::uint64_t, use_count>;

struct Account {
    explicit Account(const Limits& limits) : limit(limits) {}
    virtual ~Account() = default;
    Account(const Account&) = delete;
    Account& operator=(const Account&) = delete;
    Limits limit{}, used{};
};

class [[nodiscard]] Charge {
public:
    Charge() noexcept = default;
    Charge(Charge&& other) noexcept
        : account_(std::move(other.account_)), use_(other.use_), amount_(std::exchange(other.amount_, 0)) {}
    Charge& operator=(Charge&& other) noexcept {
        std::swap(account_, other.account_);
        std::swap(use_, other.use_);
        std::swap(amount_, other.amount_);
        return *this;
    }
    ~Charge() {
        if (account_) account_->used[static_cast<std::size_t>(use_)] -= amount_;
    }

    /// Empty when the limit would be passed.
    static std::optional<Charge> make(std::shared_ptr<Account> account, Use use, std::uint64_t amount = 1) {
        const auto i = static_cast<std::size_t>(use);
        if (amount > account->limit[i] - account->used[i]) return std::nullopt;
        account->used[i] += amount;
        Charge charge;
        charge.account_ = std::move(account);
        charge.use_ = use;
        charge.amount_ = amount;
        return charge;
    }

private:
    std::shared_ptr<Account> account_;
    Use use_ = Use::objects;
    std::uint64_t amount_ = 0;
};

/// A is Account or derived from it.
template<class A>
class Accounts {
public:
    explicit Accounts(const Limits& limits) : limits_(limits) {}
    Accounts(const Accounts&) = delete;
    Accounts& operator=(const Accounts&) = delete;

    std::shared_ptr<A> of(wl_client* client) {
        auto& entry = entries_[client];
        if (!entry) entry = std::make_unique<Entry>(*this, client, std::make_shared<A>(limits_));
        return entry->account;
    }

private:
    struct Entry {
        Entry(Accounts& o, wl_client* c, std::shared_ptr<A> a) : owner(o), client(c), account(std::move(a)) {
            node.entry = this;
            node.listener.notify = [](wl_listener* listener, void*) {
                Entry* self = reinterpret_cast<Node*>(listener)->entry;
                self->owner.entries_.erase(self->client);
            };
            // Late: after the resources, so that their destructors find the account.
            wl_client_add_destroy_late_listener(client, &node.listener);
        }
        ~Entry() { wl_list_remove(&node.listener.link); }
        Entry(const Entry&) = delete;
        Entry& operator=(const Entry&) = delete;
        struct Node {
            wl_listener listener{};
            Entry* entry = nullptr;
        } node;
        Accounts& owner;
        wl_client* client;
        std::shared_ptr<A> account;
    };
    Limits limits_;
    std::unordered_map<wl_client*, std::unique_ptr<Entry>> entries_;
};

} // namespace share::wayland_server
