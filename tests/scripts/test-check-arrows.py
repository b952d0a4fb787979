#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""scripts/check-arrows.py finds what it is there to find, and says nothing about what is allowed."""
import os
import subprocess
import sys
import tempfile
import unittest

import junit

SOURCE_ROOT = os.environ["SHARE_SOURCE_ROOT"]
CHECKER = os.path.join(SOURCE_ROOT, "scripts", "check-arrows.py")
SPDX = "// SPDX-License-Identifier: MIT\n"


def run_checker(root):
    done = subprocess.run([sys.executable, CHECKER, root], capture_output=True, text=True, check=False)
    return done.returncode, done.stdout


class Arrows(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        subprocess.run(["git", "init", "-q", self.folder.name], check=True)
        for header in ("libshare/include/share/buffer.hpp", "libshare/include/share/x11/x11.hpp",
                       "libshare/src/os/map.hpp", "libshare/src/core/ownership.hpp",
                       "compositor-demo/wayland/shell.hpp", "compositor-demo/scene/frame.hpp"):
            self.write(header, SPDX + "#pragma once\n")

    def write(self, path, text):
        full = os.path.join(self.folder.name, path)
        os.makedirs(os.path.dirname(full), exist_ok=True)
        with open(full, "w", encoding="utf-8") as file:
            file.write(text)

    def assert_refused(self, path, line, word):
        self.write(path, SPDX + line + "\n")
        status, out = run_checker(self.folder.name)
        self.assertEqual(status, 1, out)
        self.assertIn(f"{path}:2: ", out)
        self.assertIn(word, out)

    def assert_allowed(self, path, line):
        self.write(path, SPDX + line + "\n")
        status, out = run_checker(self.folder.name)
        self.assertEqual(status, 0, out)

    def test_own_project(self):
        """The project itself keeps its arrows"""
        status, out = run_checker(SOURCE_ROOT)
        self.assertEqual(status, 0, out)

    def test_memory_may_include_core_and_os(self):
        """memory may include core and os"""
        self.assert_allowed("libshare/src/memory/pool.cpp", '#include "core/ownership.hpp"\n#include "os/map.hpp"')

    def test_os_may_not_include_core(self):
        """os may not include core"""
        self.assert_refused("libshare/src/os/fd.cpp", '#include "core/ownership.hpp"', "no arrow")

    def test_side_room_and_private_headers(self):
        """A library beside libshare may not include libshare's private headers"""
        self.assert_refused("libshare/src/x11/window.cpp", '#include "core/ownership.hpp"', "no arrow")

    def test_side_rooms_apart(self):
        """A library beside libshare may not include another one's public header"""
        self.assert_refused("libshare/src/media/jpeg.cpp", "#include <share/x11/x11.hpp>", "may not include")

    def test_public_header_and_side_room(self):
        """libshare's public headers may not include those of a library beside it"""
        self.assert_refused("libshare/include/share/extra.hpp", "#include <share/x11/x11.hpp>\n#pragma once",
                            "may not include")

    def test_relative_paths_do_not_hide(self):
        """An include by a relative path is judged by the file that it means"""
        self.assert_refused("producer/main.cpp", '#include "../libshare/src/os/map.hpp"', "no arrow")

    def test_programs(self):
        """A program may include any public header"""
        self.assert_allowed("producer/main.cpp", "#include <share/buffer.hpp>\n#include <share/x11/x11.hpp>")

    def test_programs_apart(self):
        """A program may not include another program's files"""
        self.assert_refused("producer/main.cpp", '#include "../compositor-demo/scene/frame.hpp"', "no arrow")

    def test_compositor_arrow(self):
        """The compositor's wayland room may include its scene"""
        self.assert_allowed("compositor-demo/wayland/surface.cpp", '#include "scene/frame.hpp"')

    def test_compositor_wrong_way(self):
        """The compositor's scene may not include its wayland room"""
        self.assert_refused("compositor-demo/scene/tree.cpp", '#include "wayland/shell.hpp"', "no arrow")

    def test_core_knows_no_wayland(self):
        """libshare itself may not know libwayland"""
        self.assert_refused("libshare/src/core/buffer.cpp", "#include <wayland-server-core.h>", "may not know")

    def test_system_calls(self):
        """libshare's core may not make system calls of its own"""
        self.assert_refused("libshare/src/core/buffer.cpp", "#include <sys/mman.h>", "belongs to os")
        self.assert_refused("libshare/src/core/buffer.cpp", "int f() { return fcntl(3, 1); }", "belongs to os")
        self.assert_allowed("libshare/src/core/buffer.cpp", "#include <fcntl.h>\nint f() { return os::fcntl(F_SEAL_GROW); }")

    def test_unknown_room(self):
        """A new folder under src/ is no room until the design names it"""
        self.write("libshare/src/helpers/util.cpp", SPDX)
        status, out = run_checker(self.folder.name)
        self.assertEqual(status, 1, out)
        self.assertIn("no room of the design", out)

    def test_goto(self):
        """goto is refused, the word in a comment is not"""
        self.assert_allowed("producer/fine.cpp", "// goto nowhere")
        self.assert_refused("producer/main.cpp", "void f() { goto out; out: ; }", "goto")

    def test_host_names(self):
        """A host name is refused anywhere"""
        self.assert_refused("docs/notes.md", "see https" + "://example.org/x", "host name")

    def test_spdx(self):
        """A source file without an SPDX line is refused"""
        self.write("producer/main.cpp", "int main() {}\n")
        status, out = run_checker(self.folder.name)
        self.assertEqual(status, 1, out)
        self.assertIn("SPDX", out)

    def test_docs(self):
        """A document that names a file which is not there is refused"""
        self.write("docs/page.md", "see `libshare/src/os/map.hpp`\n")
        self.assertEqual(run_checker(self.folder.name)[0], 0)
        self.assert_refused("docs/page.md", "see `libshare/src/os/gone.hpp`", "gone.hpp")

    def test_long_function(self):
        """A long function is a warning, not an error"""
        self.write("producer/main.cpp", SPDX + "int main() {\n" + "    f();\n" * 70 + "}\n")
        status, out = run_checker(self.folder.name)
        self.assertEqual(status, 0, out)
        self.assertIn("a function of 72 lines", out)


if __name__ == "__main__":
    junit.main()
