// SPDX-License-Identifier: MIT
// xdg_toplevel: a window. Thread: the display's. Source: xdg-shell.xml.
#pragma once

#include <deque>
#include <string>

#include "scene/desktop.hpp"
#include "wayland/utf8.hpp"
#include "wayland/xdg_surface.hpp"

namespace compositor::wayland {

class XdgToplevel : public Resource<XdgToplevel, &xdg_toplevel_interface, struct xdg_toplevel_interface>,
                    public XdgRole,
                    public scene::DesktopWindow {
public:
    static const Requests requests;
    XdgToplevel(NewResource resource, XdgSurface& base, Quota::Token token);
    ~XdgToplevel() override;

    const std::string& title() const noexcept { return title_; }
    const std::string& app_id() const noexcept { return app_id_; }
    XdgToplevel* parent() const noexcept { return parent_.get(); }

private:
    using Mode = scene::Desktop::Mode;
    struct Sent {
        std::uint32_t serial;
        Mode mode;
    };
    struct Limits {
        scene::Size min, max;
    };

    Outcome set_parent(wl_resource* parent);
    void set_title(const char* title) { title_ = sanitized(title); }
    void set_app_id(const char* app_id) { app_id_ = sanitized(app_id); }
    void show_window_menu(wl_resource*, std::uint32_t, std::int32_t, std::int32_t) {}
    void move(wl_resource*, std::uint32_t) {}
    Outcome resize(wl_resource* seat, std::uint32_t serial, std::uint32_t edges);
    Outcome set_max_size(std::int32_t width, std::int32_t height);
    Outcome set_min_size(std::int32_t width, std::int32_t height);
    void set_maximized() { want(&XdgToplevel::want_maximized_, true); }
    void unset_maximized() { want(&XdgToplevel::want_maximized_, false); }
    void set_fullscreen(wl_resource*) { want(&XdgToplevel::want_fullscreen_, true); }
    void unset_fullscreen() { want(&XdgToplevel::want_fullscreen_, false); }
    void set_minimized() {}

    Outcome initial_commit() override;
    void acked(std::uint32_t serial) override;
    Outcome committing() override;
    Outcome mapped() override;
    Outcome updated() override;
    void moved(int dx, int dy) override;
    void unmapped() override;
    void set_activated(bool activated) override;

    void want(bool XdgToplevel::* state, bool on);
    Mode wanted_mode() const noexcept;
    void configure();
    Outcome check_maximized() const;
    void give_away_children();

    Context& context_;
    Weak<XdgSurface> base_;
    Quota::Token token_;
    std::string title_, app_id_;
    Weak<XdgToplevel> parent_;
    std::vector<Weak<XdgToplevel>> children_;
    Limits pending_limits_, limits_;
    bool want_maximized_ = false, want_fullscreen_ = false, activated_ = false;
    std::deque<Sent> sent_;
    Mode acked_mode_ = Mode::floating, mode_ = Mode::floating;
    scene::Size floating_size_; ///< to return to
};

} // namespace compositor::wayland
