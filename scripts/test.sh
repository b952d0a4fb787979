#!/bin/bash
# SPDX-License-Identifier: MIT
# test.sh: builds and runs all tests; called by ./dev test, which has installed what they need.
#
# Here: one ordinary build. With CI set: warnings are errors, and the tests run again under ASan and UBSan, those
# of suite "threads" under TSan too. Ends with "N passed, N failed, N skipped" over the test cases of all runs.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/lib.sh
. scripts/lib.sh

supp=$PWD/scripts/sanitizers
export ASAN_OPTIONS=detect_leaks=1:halt_on_error=1:detect_stack_use_after_return=1
export UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
export LSAN_OPTIONS=suppressions=$supp/lsan.supp:print_suppressions=0
export TSAN_OPTIONS=halt_on_error=1:second_deadlock_stack=1:suppressions=$supp/tsan.supp

ran=()

# build_in DIR OPTION...
build_in() {
    local dir=$1
    shift
    if [ ! -e "$dir/build.ninja" ]; then meson setup "$dir" "$@" >/dev/null; else scripts/meson-options.py "$dir" "$@"; fi
    compile_in "$dir"
}

# compile_in DIR [TARGET...]
compile_in() {
    local dir=$1 start=$SECONDS
    say "Building in $dir/ ..."
    ninja -C "$dir" --quiet "${@:2}" >"$dir/compile.log" 2>&1 || {
        tail -n 60 "$dir/compile.log" >&2
        fail "the build failed; the whole of it is in $dir/compile.log"
    }
    say "  built in $((SECONDS - start)) s"
}

# run_in DIR MESON-TEST-ARGUMENT...: its failures are counted at the end, not here. `prefix` goes in front.
prefix=()
run_in() {
    local dir=$1 start=$SECONDS
    shift
    rm -rf "$dir/test-results" "$dir/meson-logs/testlog.json"
    say "Running the tests in $dir/ ..."
    "${prefix[@]}" meson test -C "$dir" --no-rebuild "$@" >"$dir/test.log" 2>&1 || true
    say "  run in $((SECONDS - start)) s"
    ran+=("$dir")
}

# TSan of g++ 12 cannot start where the kernel randomises addresses by more bits than it expects.
without_randomisation() { if setarch -R true 2>/dev/null; then prefix=(setarch -R); fi; }

run_sanitizers() {
    # Without optimisation and with line tables only: half to a third of the time that -O1 -g takes to compile.
    local common=(-Dtests=true -Dbench=false -Db_lundef=false -Doptimization=0 -Ddebug=true -Dcpp_args=-g1)
    build_suites build-asan "unit integration" "${common[@]}" -Db_sanitize=address,undefined
    run_in build-asan --suite unit --suite integration --no-suite scripts --timeout-multiplier 4
    build_suites build-tsan threads "${common[@]}" -Db_sanitize=thread
    without_randomisation
    run_in build-tsan --suite threads --timeout-multiplier 4
}

# build_suites DIR SUITES OPTION...: only what the tests of these suites need.
build_suites() {
    local dir=$1 suites=$2 programs
    shift 2
    if [ ! -e "$dir/build.ninja" ]; then meson setup "$dir" "$@" >/dev/null; else scripts/meson-options.py "$dir" "$@"; fi
    # shellcheck disable=SC2086 # a list of words
    mapfile -t programs < <(scripts/suite-programs.py "$dir" $suites)
    [ "${#programs[@]}" -gt 0 ] || fail "no test of $dir is in: $suites"
    compile_in "$dir" "${programs[@]}"
}

# The kernel of suite "vm" is built while our own code is; nobody waits for it twice. CI must have it.
kernel=
start_kernel() {
    mkdir -p build
    set -m # a process group of its own, to end all of it with us
    nice scripts/vm/kernel.sh build >build/vm-kernel.log 2>&1 &
    set +m
    kernel=$!
    trap 'kill -- "-$kernel" 2>/dev/null || true' EXIT
}

finish_kernel() {
    local status=0
    wait "$kernel" || status=$?
    if [ $status = 0 ]; then return; fi
    tail -n 20 build/vm-kernel.log >&2
    if [ $status != 77 ] || [ -n "${CI:-}" ]; then fail "there is no kernel for the tests of suite vm: see above"; fi
}

main() {
    local options=(-Dtests=true -Dbench=true)
    # Nobody debugs in CI: line tables are enough, and compile faster.
    if [ -n "${CI:-}" ]; then options+=(-Dwerror=true -Dcpp_args=-g1); fi
    start_kernel
    build_in build "${options[@]}"
    finish_kernel
    run_in build
    if [ -n "${CI:-}" ]; then run_sanitizers; fi
    exec scripts/count-results.py "${ran[@]}"
}

main
