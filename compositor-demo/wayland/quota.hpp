// SPDX-License-Identifier: MIT
// Quota: how many objects of each kind one client may hold. Objects keep a token; the count falls when the
// token dies. Thread: the display's. Errors: a Refusal with wl_display.no_memory, which costs that client.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <unordered_map>

#include <share/wayland_server/resource.hpp>

namespace compositor::wayland {

using share::wayland_server::accepted;
using share::wayland_server::DestroyWatch;
using share::wayland_server::Global;
using share::wayland_server::NewResource;
using share::wayland_server::Outcome;
using share::wayland_server::refuse;
using share::wayland_server::refuse_no_memory;
using share::wayland_server::refuse_on;
using share::wayland_server::request;
using share::wayland_server::Resource;
using share::wayland_server::Weak;

class Quota {
public:
    enum class Kind : std::uint8_t { surface, region, callback, buffer, object };
    static constexpr std::size_t kinds = 5;
    static constexpr std::array<std::size_t, kinds> limits{2048, 2048, 8192, 4096, 4096};
    using Counts = std::array<std::size_t, kinds>;

    class [[nodiscard]] Token {
    public:
        Token() noexcept = default;
        Token(std::shared_ptr<Counts> counts, Kind kind) noexcept;
        Token(Token&& other) noexcept = default;
        Token& operator=(Token&&) noexcept = delete;
        ~Token();
        explicit operator bool() const noexcept { return counts_ != nullptr; }

    private:
        std::shared_ptr<Counts> counts_;
        Kind kind_ = Kind::object;
    };

    Quota();
    ~Quota();
    Quota(const Quota&) = delete;
    Quota& operator=(const Quota&) = delete;

    /// Empty when the client holds as many as it may.
    Token take(wl_client* client, Kind kind);
    static share::wayland_server::Refusal refusal(Kind kind);

private:
    struct Entry;
    static void client_gone(wl_listener* listener, void* client) noexcept;
    std::unordered_map<wl_client*, std::unique_ptr<Entry>> entries_;
};

} // namespace compositor::wayland
