#!/bin/bash
# SPDX-License-Identifier: MIT
# clang-format.sh [--find]: checks the format of all tracked C++ files; --find prints the tool's name only.
# Other versions than 19 format differently, so only 19 counts. Status 77: it is not installed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

find_tool() {
    if command -v clang-format-19; then return; fi
    if command -v clang-format >/dev/null && clang-format --version | grep -q 'version 19\.'; then
        command -v clang-format
        return
    fi
    return 1
}

tool=$(find_tool) || {
    [ "${1:-}" = --find ] || echo "clang-format 19 is not installed: the format was not checked"
    exit 77
}
if [ "${1:-}" = --find ]; then
    echo "$tool"
    exit 0
fi
git ls-files -z '*.cpp' '*.hpp' '*.c' '*.h' | xargs -0 -r "$tool" --dry-run -Werror
