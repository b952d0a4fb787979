# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# What ./dev and its helpers share: messages, and where things are. Sourced, never run.

say() { printf '%s\n' "$*"; }
fail() {
    printf 'dev: %s\n' "$*" >&2
    exit 1
}

# A person who can answer: standard input is a terminal and this is no CI run.
person_present() { [ -t 0 ] && [ -z "${CI:-}" ] && [ -z "${DEV_YES:-}" ]; }

# confirm QUESTION: asks when a person is there; goes on without asking, and says so, otherwise.
confirm() {
    local answer
    if ! person_present; then
        say "$1 (nobody to ask: going on)"
        return 0
    fi
    read -r -p "$1 [y/N] " answer
    case $answer in
        y | Y | yes | Yes) return 0 ;;
        *) return 1 ;;
    esac
}
