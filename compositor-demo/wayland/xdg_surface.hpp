// SPDX-License-Identifier: MIT
// xdg_surface: what toplevels and popups share: configures and their acks, window geometry, mapping.
// Thread: the display's. Source: xdg-shell.xml.
#pragma once

#include <deque>
#include <optional>

#include "wayland/surface.hpp"
#include "wayland/xdg_wm_base.hpp"

namespace compositor::wayland {

/// An xdg_toplevel or xdg_popup as its xdg_surface sees it.
class XdgRole {
public:
    virtual ~XdgRole() = default;
    /// The first commit without a buffer: answer it with a configure.
    virtual Outcome initial_commit() = 0;
    /// The configure with this serial is what the client's next commit is for.
    virtual void acked(std::uint32_t serial) = 0;
    virtual Outcome committing() = 0;
    virtual Outcome mapped() = 0;
    virtual Outcome updated() = 0;
    /// By the client's wl_surface.offset, while it is mapped; updated() follows.
    virtual void moved(int /*dx*/, int /*dy*/) {}
    virtual void unmapped() = 0;
};

class XdgSurface : public Resource<XdgSurface, &xdg_surface_interface, struct xdg_surface_interface>,
                   public SurfaceRole {
public:
    static const Requests requests;
    /// Configures that a client leaves unanswered; more cost it the connection.
    static constexpr std::size_t max_unacked = 4096;

    XdgSurface(NewResource resource, XdgWmBase& wm_base, Surface& surface, Quota::Token token);
    ~XdgSurface() override;

    Surface* surface() const noexcept { return surface_.get(); }
    XdgWmBase* wm_base() const noexcept { return wm_base_.get(); }
    XdgRole* role() const noexcept { return role_; }
    Context& context() const noexcept { return context_; }
    bool is_mapped() const noexcept { return mapped_; }
    bool is_initialized() const noexcept { return initialized_; }
    /// What the user sees as the window, surface-local.
    scene::Rect geometry() const;

    /// Ends a configure sequence.
    std::uint32_t send_configure();
    /// The role object died.
    void role_gone();
    int popups = 0; ///< alive that have this as their parent

private:
    Outcome destroy_request();
    Outcome get_toplevel(std::uint32_t id);
    Outcome get_popup(std::uint32_t id, wl_resource* parent, wl_resource* positioner);
    Outcome set_window_geometry(std::int32_t x, std::int32_t y, std::int32_t width, std::int32_t height);
    Outcome ack_configure(std::uint32_t serial);
    Outcome check_constructible(RoleKind kind) const;
    Outcome committing(bool has_buffer) override;
    void moved(int dx, int dy) override;
    Outcome applied() override;
    void reset();

    Context& context_;
    Weak<XdgWmBase> wm_base_;
    Weak<Surface> surface_;
    Quota::Token token_;
    XdgRole* role_ = nullptr;
    std::deque<std::uint32_t> unacked_;
    bool initialized_ = false; ///< the initial commit was answered
    bool configured_ = false;  ///< a configure was acked since
    bool mapped_ = false;
    std::optional<scene::Rect> pending_geometry_, geometry_;
};

} // namespace compositor::wayland
