// SPDX-License-Identifier: MIT
// What of xdg-shell is plain arithmetic: places of popups, and texts that clients send.
#include <catch2/catch_test_macros.hpp>

#include "wayland/utf8.hpp"
#include "wayland/xdg_positioner.hpp"

using namespace compositor;
using wayland::PositionRules;
using wayland::sanitized;

namespace {

constexpr scene::Rect output{0, 0, 400, 300};

/// A popup of 100x50 at a button of 20x10, below it and towards the bottom right.
PositionRules below(int x, int y, std::uint32_t adjustment = 0) {
    PositionRules rules;
    rules.size = {100, 50};
    rules.anchor_rect = {x, y, 20, 10};
    rules.has_anchor_rect = true;
    rules.anchor = XDG_POSITIONER_ANCHOR_BOTTOM_LEFT;
    rules.gravity = XDG_POSITIONER_GRAVITY_BOTTOM_RIGHT;
    rules.adjustment = adjustment;
    return rules;
}

} // namespace

TEST_CASE("a popup hangs from its anchor in the direction of its gravity") {
    CHECK(below(40, 30).place(output) == scene::Rect{40, 40, 100, 50});
    PositionRules rules = below(40, 30);
    rules.anchor = XDG_POSITIONER_ANCHOR_RIGHT;
    rules.gravity = XDG_POSITIONER_GRAVITY_RIGHT;
    CHECK(rules.place(output) == scene::Rect{60, 10, 100, 50});
    rules.anchor = XDG_POSITIONER_ANCHOR_NONE;
    rules.gravity = XDG_POSITIONER_GRAVITY_NONE;
    CHECK(rules.place(output) == scene::Rect{0, 10, 100, 50});
    rules.offset_x = 7;
    rules.offset_y = -3;
    CHECK(rules.place(output) == scene::Rect{7, 7, 100, 50});
}

TEST_CASE("a popup that does not fit is flipped, slid or shrunk as its positioner allows, in this order") {
    CHECK(below(350, 280).place(output) == scene::Rect{350, 290, 100, 50}); // nothing is allowed
    CHECK(below(40, 280, XDG_POSITIONER_CONSTRAINT_ADJUSTMENT_FLIP_Y).place(output) ==
          scene::Rect{40, 230, 100, 50});
    CHECK(below(350, 30, XDG_POSITIONER_CONSTRAINT_ADJUSTMENT_SLIDE_X).place(output) ==
          scene::Rect{300, 40, 100, 50});
    CHECK(below(350, 30, XDG_POSITIONER_CONSTRAINT_ADJUSTMENT_RESIZE_X).place(output) ==
          scene::Rect{350, 40, 50, 50});
    // Flipped it would not fit either: the place stays and the next adjustment is tried.
    CHECK(below(10, 10,
                XDG_POSITIONER_CONSTRAINT_ADJUSTMENT_FLIP_Y | XDG_POSITIONER_CONSTRAINT_ADJUSTMENT_SLIDE_Y)
              .place({0, 0, 400, 40}) == scene::Rect{10, 0, 100, 50});
}

TEST_CASE("text that is not UTF-8 is made so, and control characters are blanks") {
    CHECK(sanitized("caf\xc3\xa9 \xf0\x9f\x90\xb1") == "caf\xc3\xa9 \xf0\x9f\x90\xb1");
    CHECK(sanitized("a\xff\x62") == "a\xef\xbf\xbd\x62");
    CHECK(sanitized("\xc3") == "\xef\xbf\xbd");                             // cut short
    CHECK(sanitized("\xc0\xaf") == "\xef\xbf\xbd\xef\xbf\xbd");             // overlong
    CHECK(sanitized("\xed\xa0\x80").find('\xed') == std::string::npos);     // a surrogate
    CHECK(sanitized("\xf4\x90\x80\x80").find('\xf4') == std::string::npos); // beyond U+10FFFF
    CHECK(sanitized("a\nb\x1b[31m\xc2\x9b") == "a b [31m ");
}

TEST_CASE("a very long text is cut between characters") {
    std::string text;
    for (int i = 0; i < 2000; ++i)
        text += "\xe2\x82\xac";
    const std::string cut = sanitized(text);
    CHECK(cut.size() <= 1024);
    CHECK(cut.size() % 3 == 0);
    CHECK(cut.size() > 1000);
}
