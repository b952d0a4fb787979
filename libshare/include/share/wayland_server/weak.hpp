// SPDX-License-Identifier: MIT
// Weak<T>: another resource's object, or null once that resource is gone.
//
// On a disconnect libwayland destroys a client's resources in any order, so an object of ours never keeps a
// plain pointer to the object of another resource. A Weak is null from the moment the resource begins to
// die: the destructor of T already sees it so. Thread: the display's. Errors: none.
#pragma once

#include <memory>
#include <type_traits>
#include <utility>

#include <wayland-server-core.h>

#include <share/api.hpp>

namespace share::wayland_server {

class ResourceBase;

namespace detail {
/// Shared by an object and its Weak handles; `object` goes null first.
struct Life {
    ResourceBase* object = nullptr;
};
SHARE_API const std::shared_ptr<Life>& life_of(ResourceBase& object);
} // namespace detail

template<class T>
class Weak {
public:
    Weak() noexcept = default;
    Weak(std::nullptr_t) noexcept {}                                        // NOLINT(implicit)
    Weak(T* object) : life_(object ? detail::life_of(*object) : nullptr) {} // NOLINT(implicit)
    Weak(T& object) : life_(detail::life_of(object)) {}                     // NOLINT(implicit)

    T* get() const noexcept { return life_ && life_->object ? static_cast<T*>(life_->object) : nullptr; }
    T* operator->() const noexcept { return get(); }
    T& operator*() const noexcept { return *get(); }
    explicit operator bool() const noexcept { return get() != nullptr; }
    /// Forgets the object, which need not be gone.
    void reset() noexcept { life_.reset(); }
    /// True when it was set once and the object has died since.
    bool expired() const noexcept { return life_ && !life_->object; }

    friend bool operator==(const Weak& a, const Weak& b) noexcept { return a.get() == b.get(); }
    friend bool operator==(const Weak& a, const T* b) noexcept { return a.get() == b; }

private:
    std::shared_ptr<detail::Life> life_;
};

/// Calls `(owner.*Member)()` when the watched resource dies. A member of its owner, never moved:
///     DestroyWatch<&Cursor::surface_gone> surface_watch_{*this};
///     surface_watch_.watch(surface_resource);
template<auto Member>
class DestroyWatch;

template<class Owner, void (Owner::*Member)()>
class DestroyWatch<Member> {
public:
    explicit DestroyWatch(Owner& owner) noexcept : node_{{}, &owner} {
        node_.listener.notify = &fire;
        wl_list_init(&node_.listener.link);
    }
    ~DestroyWatch() { stop(); }
    DestroyWatch(const DestroyWatch&) = delete;
    DestroyWatch& operator=(const DestroyWatch&) = delete;

    /// Replaces what was watched; null watches nothing.
    void watch(wl_resource* resource) noexcept {
        stop();
        if (resource) wl_resource_add_destroy_listener(resource, &node_.listener);
    }
    void stop() noexcept {
        wl_list_remove(&node_.listener.link);
        wl_list_init(&node_.listener.link);
    }

private:
    struct Node {
        wl_listener listener; ///< first, so that the node is found from it
        Owner* owner;
    };
    static_assert(std::is_standard_layout_v<Node>);
    static void fire(wl_listener* listener, void*) noexcept {
        auto* node = reinterpret_cast<Node*>(listener);
        wl_list_remove(&listener->link);
        wl_list_init(&listener->link);
        (node->owner->*Member)();
    }
    Node node_;
};

} // namespace share::wayland_server
