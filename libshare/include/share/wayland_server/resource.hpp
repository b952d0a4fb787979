// SPDX-License-Identifier: MIT
// Resource<T>: a C++ object behind a wl_resource, for servers on libwayland.
//
// The wl_resource owns the object: it is deleted when the resource goes, and only then. Other resources are
// held by Weak (weak.hpp). A request handler is a member function that bears the protocol's word; it returns
// void, or an Outcome: nothing, or a Refusal that is posted as the protocol error. Handlers may throw
// std::bad_alloc (the client gets no_memory) and nothing else. An `fd` argument may be taken as UniqueFd.
//
//     class Viewport : public Resource<Viewport, &wp_viewport_interface, struct wp_viewport_interface> {
//     public:
//         static const Requests requests;
//         Viewport(NewResource resource, Surface& surface) : Resource(resource), surface_(surface) {}
//     private:
//         Outcome set_destination(int32_t width, int32_t height) {
//             if (!surface_) return refuse(WP_VIEWPORT_ERROR_NO_SURFACE, "the surface is gone");
//             ...
//             return accepted;
//         }
//         Weak<Surface> surface_;
//     };
//     // in one .cpp file; an entry left out does not compile
//     const Viewport::Requests Viewport::requests{{.destroy = request<&Viewport::destroy>,
//                                                  .set_source = request<&Viewport::set_source>,
//                                                  .set_destination = request<&Viewport::set_destination>}};
//     // elsewhere: Viewport::create(client, version, id, surface); Viewport::from(wl_resource)
//
// Thread: the display's. Source: wayland-server-core.h.
#pragma once

#include <concepts>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>

#include <wayland-server-core.h>

#include <share/api.hpp>
#include <share/unique_fd.hpp>
#include <share/wayland_server/weak.hpp>

namespace share::wayland_server {

/// Why a request is refused: the client's own mistake, and fatal for it.
struct Refusal {
    std::uint32_t code = 0;
    std::string message;
    wl_resource* on = nullptr; ///< the object that the error is posted on; null: the one that was asked
    bool on_display = false;   ///< `code` is a wl_display error
};
using Outcome = std::optional<Refusal>;
inline constexpr std::nullopt_t accepted = std::nullopt;

inline Refusal refuse(std::uint32_t code, std::string message) {
    return {code, std::move(message)};
}
/// For errors that the protocol places on another object (a wl_shm_pool's are of wl_shm's enum, ...).
inline Refusal refuse_on(wl_resource* on, std::uint32_t code, std::string message) {
    return {code, std::move(message), on};
}
/// A quota was reached: wl_display.no_memory, with the text.
SHARE_API Refusal refuse_no_memory(std::string message);
/// Posts it; a handler returns it instead.
SHARE_API void post(wl_resource* asked, const Refusal& refusal) noexcept;

/// The right to construct a Resource; made by create() only.
class NewResource {
    template<class, const wl_interface*, class>
    friend class Resource;
    explicit NewResource(wl_resource* resource) noexcept : resource_(resource) {}
    wl_resource* resource_;

public:
    wl_resource* get() const noexcept { return resource_; }
};

/// What all objects share, whatever their interface.
class SHARE_API ResourceBase {
public:
    ResourceBase(const ResourceBase&) = delete;
    ResourceBase& operator=(const ResourceBase&) = delete;
    virtual ~ResourceBase();

    wl_resource* resource() const noexcept { return resource_; }
    wl_client* client() const noexcept { return wl_resource_get_client(resource_); }
    std::uint32_t version() const noexcept {
        return static_cast<std::uint32_t>(wl_resource_get_version(resource_));
    }
    std::uint32_t id() const noexcept { return wl_resource_get_id(resource_); }

    /// The plain destructor request. The object is gone when it returns.
    void destroy() noexcept { wl_resource_destroy(resource_); }

protected:
    explicit ResourceBase(NewResource resource) noexcept : resource_(resource.get()) {}

private:
    friend const std::shared_ptr<detail::Life>& detail::life_of(ResourceBase&);
    template<class, const wl_interface*, class>
    friend class Resource;
    static void on_destroy(wl_resource* resource) noexcept;

    wl_resource* resource_;
    std::shared_ptr<detail::Life> life_; ///< made for the first Weak
};

namespace detail {

// As C has it: an fd arrives as int32_t and is owned by the handler.
template<class T>
struct Wire {
    using type = T;
};
template<>
struct Wire<UniqueFd> {
    using type = std::int32_t;
};

SHARE_API void post_no_memory(wl_resource* resource) noexcept;

template<auto Member>
struct Thunk;

template<class T, class Return, bool Noexcept, class... Args, Return (T::*Member)(Args...) noexcept(Noexcept)>
struct Thunk<Member> {
    static_assert(std::is_void_v<Return> || std::is_same_v<Return, Outcome>,
                  "a request handler returns void or Outcome");
    static void entry(wl_client*, wl_resource* resource, typename Wire<Args>::type... args) noexcept {
        auto* self = static_cast<T*>(static_cast<ResourceBase*>(wl_resource_get_user_data(resource)));
        try {
            // A handler may destroy the resource (and itself): nothing is touched after it unless it refused.
            if constexpr (std::is_void_v<Return>) {
                (self->*Member)(static_cast<Args>(args)...);
            } else if (const Outcome outcome = (self->*Member)(static_cast<Args>(args)...)) {
                post(resource, *outcome);
            }
        } catch (const std::bad_alloc&) {
            post_no_memory(resource);
        }
    }
};
/// Under -fsanitize=undefined g++ 12 does not fold "address of a function == nullptr"; null itself it does.
template<class P>
constexpr bool is_hole(P pointer) {
    return __builtin_constant_p(pointer == nullptr) && pointer == nullptr;
}
template<class... P>
constexpr bool all_set(P... pointers) {
    return (!is_hole(pointers) && ...);
}

/// True when no entry of a scanner's request table is null. C++20 cannot loop over the members of a foreign
/// struct at compile time, hence one line for each length.
template<class Table>
constexpr bool complete(const Table& table) {
    constexpr auto n = sizeof(Table) / sizeof(void (*)());
    static_assert(n >= 1 && n <= 20, "write a line more below");
    // clang-format off
    if constexpr (n == 1) { const auto& [a] = table; return all_set(a); }
    if constexpr (n == 2) { const auto& [a, b] = table; return all_set(a, b); }
    if constexpr (n == 3) { const auto& [a, b, c] = table; return all_set(a, b, c); }
    if constexpr (n == 4) { const auto& [a, b, c, d] = table; return all_set(a, b, c, d); }
    if constexpr (n == 5) { const auto& [a, b, c, d, e] = table; return all_set(a, b, c, d, e); }
    if constexpr (n == 6) { const auto& [a, b, c, d, e, f] = table; return all_set(a, b, c, d, e, f); }
    if constexpr (n == 7) { const auto& [a, b, c, d, e, f, g] = table; return all_set(a, b, c, d, e, f, g); }
    if constexpr (n == 8) { const auto& [a, b, c, d, e, f, g, h] = table; return all_set(a, b, c, d, e, f, g, h); }
    if constexpr (n == 9) { const auto& [a, b, c, d, e, f, g, h, i] = table; return all_set(a, b, c, d, e, f, g, h, i); }
    if constexpr (n == 10) { const auto& [a, b, c, d, e, f, g, h, i, j] = table; return all_set(a, b, c, d, e, f, g, h, i, j); }
    if constexpr (n == 11) { const auto& [a, b, c, d, e, f, g, h, i, j, k] = table; return all_set(a, b, c, d, e, f, g, h, i, j, k); }
    if constexpr (n == 12) { const auto& [a, b, c, d, e, f, g, h, i, j, k, l] = table; return all_set(a, b, c, d, e, f, g, h, i, j, k, l); }
    if constexpr (n == 13) { const auto& [a, b, c, d, e, f, g, h, i, j, k, l, m] = table; return all_set(a, b, c, d, e, f, g, h, i, j, k, l, m); }
    if constexpr (n == 14) { const auto& [a, b, c, d, e, f, g, h, i, j, k, l, m, o] = table; return all_set(a, b, c, d, e, f, g, h, i, j, k, l, m, o); }
    if constexpr (n == 15) { const auto& [a, b, c, d, e, f, g, h, i, j, k, l, m, o, p] = table; return all_set(a, b, c, d, e, f, g, h, i, j, k, l, m, o, p); }
    if constexpr (n == 16) { const auto& [a, b, c, d, e, f, g, h, i, j, k, l, m, o, p, q] = table; return all_set(a, b, c, d, e, f, g, h, i, j, k, l, m, o, p, q); }
    if constexpr (n == 17) { const auto& [a, b, c, d, e, f, g, h, i, j, k, l, m, o, p, q, r] = table; return all_set(a, b, c, d, e, f, g, h, i, j, k, l, m, o, p, q, r); }
    if constexpr (n == 18) { const auto& [a, b, c, d, e, f, g, h, i, j, k, l, m, o, p, q, r, s] = table; return all_set(a, b, c, d, e, f, g, h, i, j, k, l, m, o, p, q, r, s); }
    if constexpr (n == 19) { const auto& [a, b, c, d, e, f, g, h, i, j, k, l, m, o, p, q, r, s, t] = table; return all_set(a, b, c, d, e, f, g, h, i, j, k, l, m, o, p, q, r, s, t); }
    if constexpr (n == 20) { const auto& [a, b, c, d, e, f, g, h, i, j, k, l, m, o, p, q, r, s, t, u] = table; return all_set(a, b, c, d, e, f, g, h, i, j, k, l, m, o, p, q, r, s, t, u); }
    // clang-format on
}

/// Not constexpr on purpose: a table that reaches it stops the build, and the compiler names it.
inline void a_request_is_missing_from_the_table() {}

} // namespace detail

/// The scanner's C entry for a handler: `.attach = request<&Surface::attach>`.
template<auto Member>
inline constexpr auto request = &detail::Thunk<Member>::entry;

/// A scanner's request table without holes; a hole is a compile error.
template<class Table>
class RequestTable {
public:
    consteval RequestTable(const Table& table) : table_(table) { // NOLINT(implicit)
        if (!detail::complete(table)) detail::a_request_is_missing_from_the_table();
    }
    const void* get() const noexcept { return &table_; }

private:
    Table table_;
};
/// For interfaces without requests (wl_callback, feedback objects).
struct NoRequests {};
template<>
class RequestTable<NoRequests> {
public:
    consteval RequestTable() = default;
    const void* get() const noexcept { return this; }
};

template<class T, const wl_interface* Interface, class Table = NoRequests>
class Resource : public ResourceBase {
public:
    using Requests = RequestTable<Table>;

    /// Makes the resource and its object (a T or a class derived from it). `id` 0: a server-side id. Null
    /// when libwayland refused; the client has been told then. Throws std::bad_alloc, as the thunk expects.
    template<class D = T, class... Args>
    static D* create(wl_client* client, std::uint32_t version, std::uint32_t id, Args&&... args) {
        static_assert(std::derived_from<D, T>);
        static_assert(std::is_same_v<decltype(T::requests), const Requests>,
                      "static const Requests requests;");
        wl_resource* resource = wl_resource_create(client, Interface, static_cast<int>(version), id);
        if (!resource) {
            wl_client_post_no_memory(client);
            return nullptr;
        }
        struct Undo {
            wl_resource* resource;
            ~Undo() {
                if (resource) wl_resource_destroy(resource);
            }
        } undo{resource};
        auto object = std::make_unique<D>(NewResource(resource), std::forward<Args>(args)...);
        undo.resource = nullptr;
        D* made = object.get();
        wl_resource_set_implementation(resource, T::requests.get(),
                                       static_cast<ResourceBase*>(object.release()),
                                       &ResourceBase::on_destroy);
        return made;
    }

    /// The object behind a resource, or null when it is null or not one of ours.
    static T* from(wl_resource* resource) noexcept {
        if (!resource || !wl_resource_instance_of(resource, Interface, T::requests.get())) return nullptr;
        return static_cast<T*>(static_cast<ResourceBase*>(wl_resource_get_user_data(resource)));
    }

protected:
    explicit Resource(NewResource resource) noexcept : ResourceBase(resource) {}
};

/// A wl_global that calls `(owner.*Bind)(client, version, id)`. Destroy it after the clients or with the
/// display's event loop at rest; `owner` must outlive it.
class SHARE_API Global {
public:
    Global() noexcept = default;
    Global(Global&& other) noexcept : global_(std::exchange(other.global_, nullptr)) {}
    Global& operator=(Global&& other) noexcept {
        std::swap(global_, other.global_);
        return *this;
    }
    ~Global() {
        if (global_) wl_global_destroy(global_);
    }
    explicit operator bool() const noexcept { return global_ != nullptr; }
    wl_global* get() const noexcept { return global_; }

    /// Empty when memory is exhausted.
    template<auto Bind, class Owner>
    static Global create(wl_display* display, const wl_interface& interface, std::uint32_t version,
                         Owner& owner) {
        Global global;
        global.global_ = wl_global_create(display, &interface, static_cast<int>(version), &owner,
                                          &bind_thunk<Bind, Owner>);
        return global;
    }

private:
    template<auto Bind, class Owner>
    static void bind_thunk(wl_client* client, void* data, std::uint32_t version, std::uint32_t id) noexcept {
        try {
            (static_cast<Owner*>(data)->*Bind)(client, version, id);
        } catch (const std::bad_alloc&) {
            wl_client_post_no_memory(client);
        }
    }
    wl_global* global_ = nullptr;
};

} // namespace share::wayland_server
