#!/bin/bash
# SPDX-License-Identifier: MIT
# kernel.sh find|build|where: the kernel of the test VM, made of Debian's linux-source; prints its path.
#
# It lies in ~/.cache/libshare/vm/VERSION-KEY/. The key stands for all that it is made of: the fragment, the
# patches, the recipe below; VERSION is the newest linux-source that this machine's apt offers. `find` never
# builds; `where` only says where it would lie. All end with status 77 and one line on standard output when there is none and why.
# The two kernels used last are kept. Several of these may run at a time: one builds, the others wait.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/libshare/vm
# Add 1 when build() changes in a way that changes the kernel.
recipe=1

tell() { printf 'vm-kernel: %s\n' "$*" >&2; }
none() {
    printf 'no VM kernel: %s\n' "$*"
    exit 77
}
broken() {
    tell "$*"
    exit 1
}

key() { cat "$here/kernel.config" "$here"/patches/*.patch <(echo "$recipe") | sha256sum | cut -c1-12; }

# --- Which version --------------------------------------------------------------------------------------------

# "PACKAGE VERSION" of the newest linux-source; the meta-package and variants (-rt) do not count.
ask_apt() {
    local package
    command -v apt-cache >/dev/null || return 1
    package=$(apt-cache pkgnames linux-source- 2>/dev/null | grep -E '^linux-source-[0-9]+\.[0-9]+$' | sort -V | tail -n 1)
    [ -n "$package" ] || return 1
    apt-cache madison "$package" | awk -F ' *[|] *' -v package="$package" \
        '$3 ~ / Packages$|Packages/ { print package, $2 }' | sort -Vk2 | tail -n 1
}

# The same, from a note as long as apt's lists and sources are those of the note: asking takes a second.
newest() {
    local state note=$cache/newest
    state=$(stat -Lc '%n %Y' /var/lib/apt/lists /etc/apt/sources.list /etc/apt/sources.list.d 2>/dev/null || true)
    if [ -r "$note" ] && [ "$(sed 1d "$note")" = "$state" ]; then
        head -n 1 "$note"
        return
    fi
    local answer
    answer=$(ask_apt) && [ -n "$answer" ] || return 1
    mkdir -p "$cache"
    printf '%s\n%s\n' "$answer" "$state" >"$note.$$"
    mv "$note.$$" "$note"
    printf '%s\n' "$answer"
}

# --- The cache --------------------------------------------------------------------------------------------------

# A kernel counts when it is the very file that booted after it was built.
good() { [ -x "$1/linux" ] && [ -r "$1/sum" ] && [ "$(sha256sum <"$1/linux")" = "$(cat "$1/sum")" ]; }

# The newest good kernel of this key, whatever its version: for a machine whose apt knows no source (any more).
any_version() {
    local folder
    while read -r folder; do
        if good "$folder"; then
            printf '%s\n' "$folder"
            return
        fi
    done < <(find "$cache" -maxdepth 1 -type d -name "*-$1" 2>/dev/null | sort -rV)
    return 1
}

# Sets `folder`, and `package` and `version` where apt offers one.
locate() {
    local answer
    [ "$(uname -sm)" = "Linux x86_64" ] || none "User-Mode-Linux is built for Linux on x86_64 only, this is $(uname -sm)"
    if answer=$(newest); then
        read -r package version <<<"$answer"
        folder=$cache/${version//[^A-Za-z0-9.+~-]/_}-$(key)
    else
        package='' version=''
        folder=$(any_version "$(key)") ||
            none "no apt source of this machine has a package linux-source-X.Y (Debian; try apt-get update)"
    fi
}

verb_find() {
    locate
    good "$folder" || none "it was not built yet, or it is broken; run ./dev vm-kernel"
    touch "$folder"
    printf '%s\n' "$folder/linux"
}

verb_where() {
    locate
    printf '%s\n' "$folder/linux"
}

prune() {
    local old
    find "$cache" -mindepth 1 -maxdepth 1 -type d -name '*-*' -printf '%T@ %p\n' |
        sort -rn | sed '1,2d' | while read -r _ old; do rm -rf "$old"; done
}

# --- The build --------------------------------------------------------------------------------------------------

fetch() {
    tell "downloading $package $version ..."
    (cd "$1" && apt-get -qq -o APT::Sandbox::User=root -o Acquire::Retries=3 download "$package=$version") >&2 ||
        broken "cannot download $package $version: see above; check the network, or run apt-get update"
    # Leaves out what takes long to unpack and is never compiled here.
    dpkg-deb --fsys-tarfile "$1"/*.deb | tar -xO --wildcards '*/linux-source-*.tar.xz' | xz -dc |
        tar -x -C "$1" --strip-components=1 --one-top-level=source --exclude='*/Documentation/*/*' \
            --exclude='*/drivers/gpu/drm/amd/include/*' --exclude='*/tools/testing/*'
    rm "$1"/*.deb
}

# A patch whose head says "Skip-if: FILE WORD" is not needed once FILE has WORD.
apply_patches() {
    local patch file word
    for patch in "$here"/patches/*.patch; do
        read -r file word < <(sed -n 's/^Skip-if: //p' "$patch"; echo)
        if [ -n "$file" ] && grep -q -- "$word" "$1/$file"; then
            tell "not needed with $version: ${patch##*/}"
            continue
        fi
        patch -d "$1" -p1 --forward --silent --no-backup-if-mismatch <"$patch" >&2 ||
            broken "${patch##*/} does not apply to $package $version; it needs an update"
    done
}

check_config() {
    local line lost='' unchecked
    unchecked=$(sed -n 's/^# Not checked: \(CONFIG_[A-Z0-9_]*\).*/\1/p' "$here/kernel.config")
    while read -r line; do
        case $line in
            "$unchecked="*) ;;
            *=n) if grep -q "^${line%n}" "$1"; then lost+=" $line"; fi ;;
            *) grep -qx -- "$line" "$1" || lost+=" $line" ;;
        esac
    done < <(grep '^CONFIG_' "$here/kernel.config")
    [ -z "$lost" ] || broken "$package $version has no such options, or their dependencies are not met:$lost"
}

# One && chain: its caller asks for its status, and there `set -e` is off.
compile() {
    local work=$1 cc=gcc
    if command -v ccache >/dev/null; then cc='ccache gcc'; fi
    KCONFIG_ALLCONFIG=$here/kernel.config make -s -C "$work/source" ARCH=um O="$work/object" CC="$cc" allnoconfig &&
        check_config "$work/object/.config" &&
        make -s -C "$work/source" ARCH=um O="$work/object" -j"${SHARE_JOBS:-$(nproc)}" CC="$cc" linux &&
        strip -o "$work/result/linux" "$work/object/linux"
}

build() {
    local work=$cache/build # always the same path, for ccache; we hold the lock
    # shellcheck disable=SC2064
    trap "rm -rf '$work'" EXIT
    rm -rf "$work"
    mkdir "$work" "$work/object" "$work/result"
    fetch "$work"
    apply_patches "$work/source"
    tell "building it: 3 minutes on two idle cores; log: $cache/build.log"
    (compile "$work") >"$cache/build.log" 2>&1 || {
        tail -n 20 "$cache/build.log" >&2
        broken "the build failed; the whole of it is in $cache/build.log"
    }
    [ "$("$here/run" -k "$work/result/linux" -t 60 echo booted)" = booted ] || broken "the new kernel does not boot: see above"
    sha256sum <"$work/result/linux" >"$work/result/sum"
    rm -rf "$folder"
    mv "$work/result" "$folder"
}

verb_build() {
    local package version folder
    locate
    mkdir -p "$cache"
    exec 9>"$cache/lock"
    flock 9
    if ! good "$folder"; then
        build
        tell "built $folder/linux"
        prune
    fi
    printf '%s\n' "$folder/linux"
}

main() {
    case ${1:-} in
        find) verb_find ;;
        build) verb_build ;;
        where) verb_where ;;
        *) broken "usage: kernel.sh find|build|where" ;;
    esac
    exit # here, so that nothing more is read: somebody may edit this file while it builds
}

main "$@"
