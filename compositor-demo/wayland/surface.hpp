// SPDX-License-Identifier: MIT
// wl_surface, version 6: double-buffered state, from requests over the commit (and the cache of a
// synchronised sub-surface) to what the scene shows. The resource owns it. Thread: the display's. Source:
// wayland.xml.
#pragma once

#include <deque>
#include <optional>
#include <vector>

#include "scene/node.hpp"
#include "wayland/callback.hpp"
#include "wayland/context.hpp"
#include "wayland/fence_wait.hpp"

#include <wayland-server-protocol.h>

namespace compositor::wayland {

class Subsurface;
class Viewport;

/// What a client sets and commits. Nothing in an optional: as before.
struct SurfaceState {
    bool attached = false; ///< `buffer` (or `use`, once committed) counts; null in both: no buffer
    std::shared_ptr<SurfaceBuffer> buffer;
    std::shared_ptr<BufferUse> use;
    scene::Region surface_damage, buffer_damage;
    std::optional<scene::Region> opaque, input;
    std::optional<int> scale;
    std::optional<scene::Transform> transform;
    std::optional<std::optional<scene::RectF>> source;     ///< of the viewport
    std::optional<std::optional<scene::Size>> destination; ///< of the viewport
    int offset_x = 0, offset_y = 0;                        ///< of the surface's corner from where it was
    Callbacks callbacks;
    Feedbacks feedbacks;

    /// Puts a later state on top of this one.
    void merge(SurfaceState&& later);
    /// Without the buffer: what it says of the buffer's geometry is moved out and returned.
    SurfaceState take_geometry_without_content();
};

enum class RoleKind : std::uint8_t { none, subsurface, toplevel, popup };

/// What a role object wants to know of its surface. Tells the surface when it dies.
class SurfaceRole {
public:
    virtual ~SurfaceRole() = default;
    /// The client commits: the last chance to refuse. `has_buffer` is after this commit.
    virtual Outcome committing(bool has_buffer) = 0;
    /// The client moved its surface's upper left corner by this much; applied() follows. What that means is
    /// the role's affair.
    virtual void moved(int /*dx*/, int /*dy*/) {}
    /// The committed state is the current one.
    virtual Outcome applied() = 0;
};

class Surface : public Resource<Surface, &wl_surface_interface, struct wl_surface_interface>,
                private FenceWait::Listener {
public:
    static const Requests requests;
    Surface(NewResource resource, Context& context, Quota::Token token);
    ~Surface() override;

    Context& context() const noexcept { return context_; }
    scene::Node& node() noexcept { return node_; }
    bool has_buffer() const noexcept { return current_use_ != nullptr; }
    /// A buffer is attached or was committed, shown or not.
    bool ever_touched_a_buffer() const noexcept {
        return pending_.attached || committed_buffer_ || has_buffer();
    }

    // Roles. A kind stays for ever; the object may go and come again.
    RoleKind role_kind() const noexcept { return role_kind_; }
    /// Someone acts for the surface: a role object, or an xdg_surface that has no role yet.
    SurfaceRole* role() const noexcept { return role_; }
    void set_role_kind(RoleKind kind) noexcept { role_kind_ = kind; }
    /// `is_object`: destroying the surface before it is the client's error.
    void set_role(SurfaceRole* role, bool is_object) noexcept;

    SurfaceState& pending() noexcept { return pending_; }
    Weak<Viewport> viewport; ///< the surface's, while there is one

    /// Shows nothing from now on, without a commit.
    void unmap();

    // The tree of sub-surfaces, as Subsurface needs it.
    void add_child(Subsurface& child);
    void remove_child(Subsurface& child);
    bool restack_child(Subsurface& child, const Surface& reference, bool above);
    Subsurface* subsurface() const noexcept { return subsurface_; }
    /// Of the sub-surfaces below this one; 0 without any.
    int tree_height() const;
    void set_subsurface(Subsurface* subsurface) noexcept { subsurface_ = subsurface; }
    /// The parent's state is applied, and with it what synchronised commits left in the cache: all of it, or
    /// (`commit`: the parent's commit had to wait) what was in it when the parent committed.
    Outcome apply_cached(std::optional<std::uint64_t> commit);
    /// No longer synchronised: the same, but now the surface waits for its own fences.
    Outcome schedule_cached();
    /// No longer a sub-surface: what is cached comes too late.
    void drop_cached();

    // For the server, around a frame.
    struct FrameWork {
        Callbacks callbacks;
        Feedbacks feedbacks;
        std::vector<share::Step> steps; ///< of what was committed since the last frame
        bool updated = false;
    };
    bool wants_frame() const noexcept { return !callbacks_.empty() || !feedbacks_.empty(); }
    FrameWork take_frame_work();
    std::uint64_t next_frame_number() noexcept { return ++frame_number_; }
    /// Content that turned out to be truncated while it was drawn.
    void check_lost(const scene::Content& content, const std::string& why);
    /// A frame with it was shown: what the renderer copied is the client's again.
    void give_back_copied();
    /// Tells the client whether it is on the output.
    void update_output();
    /// The client has bound the output (again) just now.
    void output_bound(wl_resource* output);

private:
    Outcome destroy_request();
    Outcome attach(wl_resource* buffer, std::int32_t x, std::int32_t y);
    void damage(std::int32_t x, std::int32_t y, std::int32_t width, std::int32_t height);
    Outcome frame(std::uint32_t id);
    void set_opaque_region(wl_resource* region);
    void set_input_region(wl_resource* region);
    Outcome commit();
    Outcome set_buffer_transform(std::int32_t transform);
    Outcome set_buffer_scale(std::int32_t scale);
    void damage_buffer(std::int32_t x, std::int32_t y, std::int32_t width, std::int32_t height);
    void offset(std::int32_t x, std::int32_t y);

    Outcome check_geometry(const scene::SurfaceMap& map, bool has_buffer) const;
    Outcome take_use(SurfaceState& state);

    // A commit whose buffer somebody still writes waits, and later ones behind it (surface_queue.cpp).
    struct Waiting {
        SurfaceState state;
        share::Deadline deadline;
        std::uint64_t commit;
    };
    /// What was in the cache when a parent's commit began to wait.
    struct Closed {
        SurfaceState state;
        std::uint64_t commit;
    };
    Outcome schedule(SurfaceState&& state);
    Outcome advance();
    void fences_changed() override;
    void collect_fences(const SurfaceState& state, std::optional<std::uint64_t> commit,
                        std::vector<share::Fence>& fences) const;
    void close_cached(std::uint64_t commit);
    void give_up_content(SurfaceState& state, std::uint64_t commit);
    std::optional<SurfaceState> take_cached(std::optional<std::uint64_t> commit);
    void keep_geometry(SurfaceState& state);
    void leave_out_content(SurfaceState& state);
    void drop_waiting();

    Outcome apply(SurfaceState&& state, std::optional<std::uint64_t> commit = std::nullopt);
    Outcome apply_content(SurfaceState& state);
    void apply_picture();
    void tell_lost(const std::string& why);
    Outcome apply_children(std::optional<std::uint64_t> commit);

    Context& context_;
    Quota::Token token_;
    scene::Node node_;
    RoleKind role_kind_ = RoleKind::none;
    SurfaceRole* role_ = nullptr;
    bool role_is_object_ = false;

    SurfaceState pending_;
    std::optional<SurfaceState> cached_;
    std::deque<Closed> closed_;
    std::deque<Waiting> waiting_;
    std::unique_ptr<FenceWait> wait_;
    /// Geometry of a buffer that was given up: it counts again with the next one.
    std::optional<SurfaceState> leftover_;
    // As of the last commit, applied or cached: what the next commit is checked against.
    scene::SurfaceMap committed_map_;
    bool committed_buffer_ = false;

    std::shared_ptr<BufferUse> current_use_;
    scene::SurfaceMap map_;
    scene::Region opaque_, input_;
    Callbacks callbacks_;
    Feedbacks feedbacks_;
    std::vector<share::Step> steps_;
    bool updated_ = false;
    std::uint64_t frame_number_ = 0;
    bool on_output_ = false;

    Subsurface* subsurface_ = nullptr;
    std::vector<Subsurface*> children_; ///< all, in order of creation; they leave when they die
    std::vector<Subsurface*> order_;    ///< pending stack, back to front; null marks this surface
    bool order_changed_ = false;
};

} // namespace compositor::wayland
