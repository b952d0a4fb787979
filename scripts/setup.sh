#!/bin/bash
# SPDX-License-Identifier: MIT
# setup.sh LIST...: makes sure that the packages of scripts/packages/LIST.txt are installed.
#
# Debian: installs what is missing or too old and nothing else, after saying what that is; takes what the suite
# has not from its backports, whose address is the one that this machine's apt already uses. Elsewhere, or
# without the right to install: prints what to install and ends with status 3. A person is asked first; without
# one it goes on and says so.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=scripts/lib.sh
. "$here/lib.sh"
etc_apt=${SHARE_ETC_APT:-/etc/apt}
os_release=${SHARE_OS_RELEASE:-/etc/os-release}
source_file=$etc_apt/sources.list.d/libshare-backports.sources

wanted() {
    local list
    for list in "$@"; do sed -e '/^#/d' -e '/^$/d' "$here/packages/$list.txt"; done
}

os_value() { (
    # shellcheck disable=SC1090
    [ -r "$os_release" ] && . "$os_release"
    printf '%s' "${!1:-}"
); }

# Lines "package least-version upstream-name" of stdin that this machine lacks.
missing() {
    local installed package least name have
    declare -A installed=()
    while read -r package have; do installed[${package%%:*}]=$have; done < <(
        dpkg-query -W -f '${db:Status-Status} ${Package} ${Version}\n' | sed -n 's/^installed //p')
    while read -r package least name; do
        have=${installed[$package]:-}
        if [ -z "$have" ] || { [ "$least" != - ] && dpkg --compare-versions "$have" lt "$least"; }; then
            say "$package $least $name"
        fi
    done
}

print_upstream_names() {
    say "To build and run libshare, install these with your system's package manager:"
    wanted "$@" | while read -r _ _ name; do say "  $name"; done
    say "Then run ./dev build. (Only Debian 12 and 13 are set up by this script.)"
}

print_packages() {
    say "These packages are missing, and this user may not install them (not root, no usable sudo):"
    awk '{ printf "  %s%s\n", $1, $2 == "-" ? "" : " (" $2 " or newer)" }' <<<"$1"
    say "On Debian 12 those with a version come from its backports. Install them, then run this again."
}

# The command that runs something as root, in the array `root`; fails when there is none.
root=()
find_root() {
    if [ "$(id -u)" = 0 ]; then return 0; fi
    command -v sudo >/dev/null || return 1
    if ! sudo -n true 2>/dev/null; then
        person_present || return 1
        say "sudo may ask for your password."
        sudo -v || return 1
    fi
    root=(sudo)
}

apt_sources() {
    local files=()
    shopt -s nullglob
    files=("$etc_apt"/sources.list "$etc_apt"/sources.list.d/*.list "$etc_apt"/sources.list.d/*.sources)
    shopt -u nullglob
    [ -e "${files[0]}" ] || files=("${files[@]:1}")
    [ "${#files[@]}" -gt 0 ] || return 0
    awk -f "$here/apt-sources.awk" "${files[@]}"
}

# have_suite SUITE: apt already knows it.
have_suite() { apt_sources | cut -f2 | grep -qx -- "$1"; }

# The deb822 text of the backports source, after the main source of the suite $1.
backports_source() {
    apt_sources | awk -F '\t' -v suite="$1" '
        $2 == suite && (" " $3 " ") ~ / main / && !done {
            done = 1
            print "# Added by libshare (./dev). Remove this file to drop the suite again."
            print "Types: deb\nURIs: " $1 "\nSuites: " suite "-backports\nComponents: main"
            key = $4
            gsub(/\\n/, "\n", key)
            if (key != "") print "Signed-By: " key
        }
        END { exit !done }'
}

add_backports() {
    local suite=$1 text
    text=$(backports_source "$suite") ||
        fail "no source of suite '$suite' with component main in $etc_apt: add ${suite}-backports there yourself, then run this again"
    say "Some packages must be newer than those of $suite. This file would be added, $source_file:"
    say "  ${text//$'\n'/$'\n'  }"
    confirm "Add the ${suite}-backports suite?" || fail "nothing was changed: the backports suite was declined"
    say "$text" | "${root[@]}" tee "$source_file" >/dev/null
    refresh_lists
}

refresh_lists() {
    say "Reading the package lists (apt-get update) ..."
    "${root[@]}" apt-get -qq -o Acquire::Retries=3 update ||
        fail "apt-get update failed: see above; check the network and the sources in $etc_apt"
}

candidate() { apt-cache policy "$1" | sed -n 's/^  Candidate: //p'; }

too_old() { # PACKAGE LEAST: what apt would install is older than that
    local version
    [ "$2" != - ] || return 1
    version=$(candidate "$1")
    [ -n "$version" ] && [ "$version" != "(none)" ] && dpkg --compare-versions "$version" ge "$2" && return 1
    return 0
}

# From lines of missing(): the names for apt-get, with "/SUITE-backports" where the suite's own is too old.
targets() {
    local suite=$1 package least
    while read -r package least _; do
        if too_old "$package" "$least"; then say "$package/$suite-backports"; else say "$package"; fi
    done
}

simulate() {
    local plan
    plan=$(apt-get -s -y --no-install-recommends install "$@") || {
        printf '%s\n' "$plan" >&2 # apt tells the reason on standard output
        fail "apt cannot install these packages together: see above"
    }
    printf '%s\n' "$plan"
}

# Says what will happen; asks; asks again when a library that is installed would be replaced.
agree() {
    local plan=$1 new old
    new=$(grep -c '^Inst ' <<<"$plan" || true)
    old=$(sed -n 's/^Inst \([^ ]*\) \[\([^]]*\)\] (\([^ ]*\).*/  \1 \2 -> \3/p' <<<"$plan")
    say "$new packages will be installed, asked for by name:"
    tr ' ' '\n' <<<"${*:2}" | sed 's/^/  /' | paste -sd ' ' | fold -s -w 110
    confirm "Install them?" || fail "nothing was installed: declined"
    if [ -n "$old" ]; then
        say "These packages of the system will be replaced by newer ones:"
        say "$old"
        confirm "Replace them?" || fail "nothing was installed: declined"
    fi
}

install_missing() {
    local suite=$1 lines=$2 plan names
    refresh_lists
    mapfile -t names < <(targets "$suite" <<<"$lines")
    if [[ "${names[*]}" == *-backports* ]] && ! have_suite "$suite-backports"; then
        add_backports "$suite"
    fi
    plan=$(simulate "${names[@]}")
    agree "$plan" "${names[@]}"
    "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -y -qq -o Dpkg::Use-Pty=0 -o Acquire::Retries=3 \
        --no-install-recommends install "${names[@]}" >"$log" 2>&1 || {
        tail -n 20 "$log" >&2
        fail "apt-get install failed: see above"
    }
}

main() {
    local lines
    if [ "$(os_value ID)" != debian ] || ! command -v apt-get >/dev/null; then
        print_upstream_names "$@"
        exit 3
    fi
    lines=$(wanted "$@" | missing)
    [ -n "$lines" ] || exit 0
    find_root || {
        print_packages "$lines"
        exit 3
    }
    log=$(mktemp)
    trap 'rm -f "$log"' EXIT
    install_missing "$(os_value VERSION_CODENAME)" "$lines"
    lines=$(wanted "$@" | missing)
    [ -z "$lines" ] || {
        print_packages "$lines"
        fail "these are still missing or too old after the installation"
    }
}

main "$@"
