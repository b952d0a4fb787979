#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""check-arrows.py [ROOT]: the rooms of the project and the only includes allowed between them.

Errors (exit status 1): an include that no arrow allows, a library in a room that must not know it, a header that the
language level forbids, a missing SPDX line, goto, a host name or a path of one machine, a file named in docs/ that
is not there. Warnings: files over 500 lines, functions over 60. docs/architecture.md tells the reasons.
"""
import os
import re
import subprocess
import sys

MAX_FILE, MAX_FUNCTION = 500, 60

# Inside libshare: room -> the rooms whose private headers it may include, besides its own.
CORE_ROOMS = {"os": set(), "core": {"os"}, "memory": {"core", "os"}, "sync": {"core", "os"}, "solve": {"core", "os"}}
# Libraries beside libshare: each sees libshare's public headers and its own, never one another's.
SIDE_ROOMS = {"egl", "kms", "v4l2", "media", "wayland_client", "wayland_server", "x11", "broker"}
# Programs: public headers and their own files.
PROGRAMS = {"producer", "xshm-bridge", "tools"}
# The demo compositor has rooms of its own. A room that includes another sees what that one's headers show.
COMPOSITOR = {
    "scene": {"scene"},
    "wayland": {"wayland", "scene"},
    "render": {"render", "scene"},
    "backend": {"backend", "render", "scene"},
    "server": {"server", "wayland", "scene", "render", "backend"},
    "main": {"server", "wayland", "scene", "render", "backend"},
}

# Libraries that not every room may know: pattern of the include -> rooms that may.
LIBRARIES = [
    (r"wayland-client|wayland-cursor", {"wayland_client", "producer"}),
    (r"wayland-server", {"wayland_server", "compositor"}),
    (r"xcb/|X11/", {"x11", "producer", "xshm-bridge"}),
    (r"EGL/|GLES[23]?/|gbm\.h", {"egl", "compositor:render"}),
    (r"xf86drm|drm_fourcc\.h|drm_mode\.h", {"kms", "compositor:backend"}),
    (r"jpeglib\.h|jerror\.h|png\.h|webp/|lcms2|libyuv", {"media", "compositor:backend"}),
    (r"pixman\.h", {"compositor", "compositor:scene", "compositor:render"}),
    (r"CLI/|CLI11", {"producer", "xshm-bridge", "tools", "compositor"}),
    (r"xkbcommon/", {"wayland_client", "x11", "producer", "xshm-bridge", "compositor"}),
]
# Inside libshare only os makes system calls on memory, fds, locks and sockets.
SYSTEM = re.compile(r"(?:sys/(?:mman|ioctl|shm|ipc|socket|statfs|vfs|un)|unistd|poll|linux/\S+)\.h$")
CALL = re.compile(r"(?<![\w.>:])(?:::)?(?:mmap|munmap|mremap|memfd_create|ftruncate|fcntl|ioctl|open|openat|fstat|fstatfs|"
                  r"shmget|shmat|shmdt|shmctl|socket|sendmsg|recvmsg|poll)\s*\(")
BANNED = {"format": "libstdc++ 12 has it not; use fmt", "print": "libstdc++ 12 has it not; use fmt",
          "expected": "use share::Result"}

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"]+)[>"]', re.M)
HOST = re.compile(r"\b(?:https?|ftp|git|ssh|rsync)://[A-Za-z0-9]")
MACHINE_PATH = re.compile(r"(?<![\w./-])/(?:home|root|Users|mnt|work|srv)/\w")
CODE = (".cpp", ".hpp", ".c", ".h")
SPDX = CODE + (".py", ".sh", ".awk", ".build")


class Report:
    def __init__(self):
        self.errors = []
        self.warnings = []

    def error(self, path, line, text):
        self.errors.append(f"{path}:{line}: {text}")

    def warn(self, path, line, text):
        self.warnings.append(f"{path}:{line}: warning: {text}")


def room_of(path):
    """The room of a source file, as a pair (kind, room)."""
    part = path.split("/")
    if part[:3] == ["libshare", "include", "share"]:
        return ("public", "") if len(part) == 4 else ("side-public", part[3])
    if part[:2] == ["libshare", "src"] and len(part) > 3:
        return ("core", part[2]) if part[2] in CORE_ROOMS else ("side", part[2])
    if part[0] == "compositor-demo":
        return ("compositor", part[1] if len(part) > 2 else "main")
    if part[0] in PROGRAMS:
        return ("program", part[0])
    if part[0] == "tests":
        return ("tests", part[1] if len(part) > 2 else "")
    return ("examples", "") if part[0] == "examples" else ("other", part[0])


def public_target(name):
    """For <share/...>: '' for libshare's own headers, a room for those of a library beside it, else None."""
    part = name.split("/")
    if part[0] != "share":
        return None
    return "" if len(part) == 2 else part[1]


def allowed_public(kind, room, target):
    if target == "" or kind in ("program", "compositor", "tests", "examples", "other"):
        return True
    return kind in ("side", "side-public") and target == room


def private_target(path, name, files):
    """The tracked file that a quoted include means, or None for generated and system headers."""
    beside = os.path.normpath(os.path.join(os.path.dirname(path), name))
    for candidate in (beside, "libshare/src/" + name, "compositor-demo/" + name, "tests/" + name, name,
                      "tests/support/" + name, "producer/" + name, "xshm-bridge/" + name):
        if os.path.normpath(candidate) in files:
            return os.path.normpath(candidate)
    return None


def allowed_private(source, target):
    kind, room = source
    to_kind, to_room = target
    if source == target:
        return True
    if kind == "core":
        return to_kind == "core" and to_room in CORE_ROOMS[room]
    if kind == "compositor":
        return to_kind == "compositor" and to_room in COMPOSITOR.get(room, set())
    if kind == "tests":
        if to_kind == "tests":
            return to_room == "support" or (room, to_room) == ("integration", "bench")
        if to_kind == "examples":
            return True
        if to_kind == "compositor":
            return room in set(COMPOSITOR) | {"compositor", "integration", "bench"}
        return to_room == room or (to_kind == "core" and (room in CORE_ROOMS or room == "vm"))
    return False


def may_know(source, rooms):
    kind, room = source
    if kind in ("tests", "examples", "other"):
        return True
    names = {room} if kind != "compositor" else {"compositor", f"compositor:{room}"}
    return bool(names & rooms)


def check_includes(path, text, files, report):
    source = room_of(path)
    kind, room = source
    if kind == "side" and room not in SIDE_ROOMS or kind == "core" and room not in CORE_ROOMS:
        report.error(path, 1, f"'{room}' is no room of the design")
    if kind == "compositor" and room not in COMPOSITOR:
        report.error(path, 1, f"'{room}' is no room of the compositor")
    for match in INCLUDE.finditer(text):
        line, name = text.count("\n", 0, match.start()) + 1, match.group(2)
        public = public_target(name)
        if public is not None:
            if not allowed_public(kind, room, public):
                report.error(path, line, f"{kind} room '{room}' may not include <{name}>")
            continue
        target = private_target(path, name, files) if match.group(1) == '"' else None
        if target is not None:
            to = room_of(target)
            if not allowed_private(source, to):
                report.error(path, line, f"no arrow leads from {kind} '{room}' to {to[0]} '{to[1]}' ({target})")
            continue
        if kind == "core" and room != "os" and SYSTEM.match(name):
            report.error(path, line, f"<{name}>: a system call belongs to os, not to {room}")
        if name in BANNED:
            report.error(path, line, f"<{name}>: {BANNED[name]}")
        for pattern, rooms in LIBRARIES:
            if re.match(pattern, name) and not may_know(source, rooms):
                report.error(path, line, f"{kind} room '{room}' may not know <{name}>")


def blank(match):
    return re.sub(r"[^\n]", " ", match.group(0))


def without_comments(text):
    text = re.sub(r'R"(\w*)\((?:.|\n)*?\)\1"', blank, text)
    return re.sub(r'//[^\n]*|/\*(?:.|\n)*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])\'', blank, text)


def functions(code):
    """(first line, length) of each outermost block that is not a namespace, a type or a data initialiser."""
    stack, start = [], 0
    for match in re.finditer(r"[{};]", code):
        head, at = code[start:match.start()], match.start()
        start = match.end()
        if match.group() == "{":
            scope = re.search(r"\b(namespace|class|struct|enum|union|extern)\b", head) and ")" not in head
            outer = all(kind == "scope" for kind, _ in stack)
            stack.append(("scope" if scope else "function" if outer and ")" in head else "block", at))
        elif match.group() == "}" and stack:
            kind, opened = stack.pop()
            if kind == "function":
                yield code.count("\n", 0, opened) + 1, code.count("\n", opened, at) + 1


def check_code(path, text, report):
    code = without_comments(text)
    for match in re.finditer(r"\bgoto\b", code):
        report.error(path, code.count("\n", 0, match.start()) + 1, "goto: use an object that cleans up")
    kind, room = room_of(path)
    for match in CALL.finditer(code) if kind == "core" and room != "os" else ():
        report.error(path, code.count("\n", 0, match.start()) + 1, f"{match.group(0)}: a system call belongs to os")
    if path.endswith((".cpp", ".hpp")):
        if re.search(r"\busing\s+namespace\s+std\s*;", code):
            report.error(path, 1, "using namespace std")
        for line, length in functions(code):
            if length > MAX_FUNCTION:
                report.warn(path, line, f"a function of {length} lines (the limit of good taste is {MAX_FUNCTION})")
    if path.endswith((".hpp", ".h")) and "#pragma once" not in text:
        report.error(path, 1, "no #pragma once")


def check_text(path, text, report):
    for pattern, what in ((HOST, "a host name or address"), (MACHINE_PATH, "a path of one machine")):
        for match in pattern.finditer(text):
            report.error(path, text.count("\n", 0, match.start()) + 1, f"{what}: {match.group(0)}...")
    lines = text.count("\n")
    if path.endswith(SPDX) and "SPDX-License-Identifier: MIT" not in "".join(text.splitlines(True)[:2]):
        report.error(path, 1, "the first line (after #!) must be the SPDX line")
    if path.endswith(CODE) and lines > MAX_FILE:
        report.warn(path, 1, f"{lines} lines (the limit of good taste is {MAX_FILE})")


def check_docs(path, text, files, report):
    """Relative links, and `file/names.xyz` between backticks, must exist."""
    folders = {os.path.dirname(name) for name in files}
    tops = {name.split("/")[0] for name in files if "/" in name}
    for match in re.finditer(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)|`([\w.-]+(?:/[\w.-]+)+/?)`", text):
        name = os.path.normpath(os.path.join(os.path.dirname(path), match.group(1))) if match.group(1) \
            else match.group(2).rstrip("/")
        if match.group(2) and name.split("/")[0] not in tops:
            continue
        known = name in files or any(folder == name or folder.startswith(name + "/") for folder in folders)
        if not known:
            report.error(path, text.count("\n", 0, match.start()) + 1, f"names '{name}', which is not in the project")


def tracked_files(root):
    listed = subprocess.run(["git", "-C", root, "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
                            check=True, capture_output=True, text=True)
    return {name for name in listed.stdout.split("\0") if name and os.path.isfile(os.path.join(root, name))}


def check(root):
    report, files = Report(), tracked_files(root)
    for path in sorted(files):
        try:
            with open(os.path.join(root, path), encoding="utf-8") as file:
                text = file.read()
        except UnicodeDecodeError:
            continue
        check_text(path, text, report)
        if path.endswith(CODE):
            check_includes(path, text, files, report)
            check_code(path, text, report)
        if path.endswith(".md"):
            check_docs(path, text, files, report)
    return report


def main(arguments):
    report = check(arguments[0] if arguments else ".")
    for line in report.warnings + report.errors:
        print(line)
    print(f"check-arrows: {len(report.errors)} errors, {len(report.warnings)} warnings")
    return 1 if report.errors else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
