// SPDX-License-Identifier: MIT
#include "wayland/xdg_popup.hpp"

#include "wayland/xdg_toplevel.hpp"

namespace compositor::wayland {

const XdgPopup::Requests XdgPopup::requests{{.destroy = request<&XdgPopup::destroy_request>,
                                             .grab = request<&XdgPopup::grab>,
                                             .reposition = request<&XdgPopup::reposition>}};

XdgPopup::XdgPopup(NewResource resource, XdgSurface& base, XdgSurface* parent, const PositionRules& rules,
                   Quota::Token token)
    : Resource(resource),
      context_(base.context()),
      base_(base),
      parent_(parent),
      rules_(rules),
      token_(std::move(token)) {
    if (parent) ++parent->popups;
}

XdgPopup::~XdgPopup() {
    if (parent_) --parent_->popups;
    if (base_) base_->role_gone();
}

wl_resource* XdgPopup::wm_base() const {
    return base_ && base_->wm_base() ? base_->wm_base()->resource() : nullptr;
}

Outcome XdgPopup::destroy_request() {
    if (base_ && base_->popups > 0)
        return refuse_on(wm_base(), XDG_WM_BASE_ERROR_NOT_THE_TOPMOST_POPUP,
                         "popups of this popup are still alive");
    destroy();
    return accepted;
}

Outcome XdgPopup::grab(wl_resource*, std::uint32_t) {
    if (base_ && base_->is_mapped())
        return refuse(XDG_POPUP_ERROR_INVALID_GRAB, "the popup is mapped already");
    const auto* parent_popup = parent_ ? dynamic_cast<const XdgPopup*>(parent_->role()) : nullptr;
    if (parent_popup && !parent_popup->grabs_)
        return refuse_on(wm_base(), XDG_WM_BASE_ERROR_NOT_THE_TOPMOST_POPUP, "the parent popup took no grab");
    grabs_ = true;
    return accepted;
}

void XdgPopup::configure() {
    // Of a popup's popup the place is not known: it is never shown.
    const auto* toplevel = parent_ ? dynamic_cast<const XdgToplevel*>(parent_->role()) : nullptr;
    scene::Rect bounds{0, 0, context_.scene.width(), context_.scene.height()};
    if (toplevel) {
        const scene::Rect geometry = parent_->geometry();
        bounds.x = -(toplevel->window.x + geometry.x);
        bounds.y = -(toplevel->window.y + geometry.y);
    }
    const scene::Rect place = rules_.place(bounds);
    xdg_popup_send_configure(resource(), place.x, place.y, place.width, place.height);
    base_->send_configure();
}

void XdgPopup::dismiss() {
    if (std::exchange(dismissed_, true)) return;
    xdg_popup_send_popup_done(resource());
}

Outcome XdgPopup::initial_commit() {
    if (!parent_ || !parent_->is_mapped())
        return refuse_on(wm_base(), XDG_WM_BASE_ERROR_INVALID_POPUP_PARENT, "the popup has no mapped parent");
    configure();
    dismiss();
    return accepted;
}

Outcome XdgPopup::mapped() {
    if (!parent_) return refuse_on(wm_base(), XDG_WM_BASE_ERROR_INVALID_POPUP_PARENT, "the parent is gone");
    return accepted;
}

Outcome XdgPopup::reposition(wl_resource* positioner_resource, std::uint32_t token) {
    const XdgPositioner* positioner = XdgPositioner::from(positioner_resource);
    if (!positioner || !positioner->rules().complete())
        return refuse_on(wm_base(), XDG_WM_BASE_ERROR_INVALID_POSITIONER,
                         "the positioner has no size or no anchor rectangle");
    rules_ = positioner->rules();
    if (!base_ || !base_->is_initialized()) return accepted;
    xdg_popup_send_repositioned(resource(), token);
    configure();
    return accepted;
}

} // namespace compositor::wayland
