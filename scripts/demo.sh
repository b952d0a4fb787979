#!/bin/bash
# SPDX-License-Identifier: MIT
# demo.sh [IMAGE]: shows a picture and says what was copied; called by ./dev demo, which has built the programs.
#
# With WAYLAND_DISPLAY or DISPLAY set: a window there. Otherwise: the demo compositor, headless, and a PNG.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=scripts/lib.sh
. "$here/scripts/lib.sh"
producer=$here/build/producer/share-producer
compositor=$here/build/compositor-demo/share-compositor
out=$here/out
record=$out/demo.ledger.jsonl

# An empty private folder where there is no usable XDG_RUNTIME_DIR; removed at the end.
runtime_dir() {
    if [ -n "${XDG_RUNTIME_DIR:-}" ] && [ -d "$XDG_RUNTIME_DIR" ] && [ -O "$XDG_RUNTIME_DIR" ]; then return; fi
    XDG_RUNTIME_DIR=$(mktemp -d)
    export XDG_RUNTIME_DIR
    trap 'rm -rf "$XDG_RUNTIME_DIR"' EXIT
    say "XDG_RUNTIME_DIR is not usable: using a temporary folder in its place."
}

test_card() {
    "$producer" --test-card="$out/test-card.jpg"
    say "No IMAGE given: showing a test card, $out/test-card.jpg."
    image=$out/test-card.jpg
}

in_a_window() {
    local display=x11
    [ -z "${WAYLAND_DISPLAY:-}" ] || display=auto
    say "Opening a window on this display (q, Escape or its close button ends it) ..."
    "$producer" --display="$display" --explain=json "$image" >"$record"
}

headless() {
    say "No display here: showing $image on share-compositor, headless, 1920x1080 ..."
    rm -f "$out/demo.png"
    runtime_dir
    "$compositor" --backend=headless --size=1920x1080 --screenshot="$out/demo.png" --explain=json \
        -- "$producer" --display=wayland --fullscreen --once --explain=json "$image" >"$record" ||
        return 1
    [ -s "$out/demo.png" ] || fail "the compositor ended well but left no screenshot $out/demo.png"
}

main() {
    image=${1:-}
    [ $# -le 1 ] || fail "usage: ./dev demo [IMAGE]"
    mkdir -p "$out"
    rm -f "$record"
    [ -n "$image" ] || test_card
    if [ -n "${WAYLAND_DISPLAY:-}${DISPLAY:-}" ]; then
        in_a_window || fail "share-producer failed: see above"
    else
        headless || fail "the demo failed: see above"
        say "The screenshot is $out/demo.png"
    fi
    "$here/scripts/explain-ledger.py" "$record"
    say "The whole ledger, one JSON object a line: $record"
}

main "$@"
