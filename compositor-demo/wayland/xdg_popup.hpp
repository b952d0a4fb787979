// SPDX-License-Identifier: MIT
// xdg_popup. This compositor has no input: a popup is placed, configured and dismissed at once.
// Thread: the display's. Source: xdg-shell.xml.
#pragma once

#include "wayland/xdg_positioner.hpp"
#include "wayland/xdg_surface.hpp"

namespace compositor::wayland {

class XdgPopup : public Resource<XdgPopup, &xdg_popup_interface, struct xdg_popup_interface>, public XdgRole {
public:
    static const Requests requests;
    XdgPopup(NewResource resource, XdgSurface& base, XdgSurface* parent, const PositionRules& rules,
             Quota::Token token);
    ~XdgPopup() override;

private:
    Outcome destroy_request();
    Outcome grab(wl_resource* seat, std::uint32_t serial);
    Outcome reposition(wl_resource* positioner, std::uint32_t token);

    Outcome initial_commit() override;
    void acked(std::uint32_t) override {}
    Outcome committing() override { return accepted; }
    Outcome mapped() override;
    Outcome updated() override { return accepted; }
    void unmapped() override {}

    void configure();
    void dismiss();
    wl_resource* wm_base() const;

    Context& context_;
    Weak<XdgSurface> base_, parent_;
    PositionRules rules_;
    Quota::Token token_;
    bool dismissed_ = false, grabs_ = false;
};

} // namespace compositor::wayland
