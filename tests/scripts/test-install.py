#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""An installed libshare can be used by another project, by nothing but pkg-config, in C++20."""
import json
import os
import re
import shutil
import subprocess
import tempfile
import unittest

import junit

SOURCE_ROOT = os.environ["SHARE_SOURCE_ROOT"]
BUILD_ROOT = os.environ["SHARE_BUILD_ROOT"]


def run(*command, **options):
    done = subprocess.run(command, capture_output=True, text=True, check=False, **options)
    if done.returncode != 0:
        raise AssertionError(f"{' '.join(command)}: {done.returncode}\n{done.stdout}\n{done.stderr}")
    return done.stdout


def option(name):
    for entry in json.loads(run("meson", "introspect", "--buildoptions", BUILD_ROOT)):
        if entry["name"] == name:
            value = entry["value"]
            return ",".join(value) if isinstance(value, list) else value
    return None


class Installed(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        if option("b_sanitize") not in ("none", "", None):
            raise unittest.SkipTest("a sanitizer build is not what one installs")
        cls.folder = tempfile.TemporaryDirectory()
        root = cls.folder.name
        run("meson", "install", "-C", BUILD_ROOT, "--no-rebuild", "--quiet", "--destdir", root)
        cls.libdir = os.path.join(root + option("prefix"), option("libdir"))
        cls.env = {**os.environ, "PKG_CONFIG_PATH": os.path.join(cls.libdir, "pkgconfig"),
                   "PKG_CONFIG_SYSROOT_DIR": root, "LD_LIBRARY_PATH": cls.libdir}

    @classmethod
    def tearDownClass(cls):
        if hasattr(cls, "folder"):
            cls.folder.cleanup()

    def packages(self):
        return [name[:-3] for name in sorted(os.listdir(os.path.join(self.libdir, "pkgconfig")))]

    def flags(self, package):
        return run("pkg-config", "--cflags", "--libs", package, env=self.env).split()

    def test_example(self):
        """The example builds against the installed library, and runs"""
        program = os.path.join(self.folder.name, "example")
        source = os.path.join(SOURCE_ROOT, "examples", "shared_frame.cpp")
        run("g++", "-std=c++20", "-Wall", "-Wextra", "-Werror", source, "-o", program, *self.flags("share"))
        self.assertIn("yes", run(program, env=self.env))

    def test_headers(self):
        """Every installed header compiles alone as C++20, with its package's flags only"""
        for package in self.packages():
            room = package.removeprefix("share-").replace("-", "_") if package != "share" else ""
            folder = os.path.join(self.folder.name + option("prefix"), "include", "share", room)
            headers = sorted(name for name in os.listdir(folder) if name.endswith(".hpp"))
            self.assertTrue(headers, folder)
            flags = ["-std=c++20", "-Wall", "-Wextra", "-Wshadow", "-Werror", "-fsyntax-only", "-x", "c++", "-",
                     *run("pkg-config", "--cflags", package, env=self.env).split()]
            for name in headers:
                text = f"#include <{os.path.join('share', room, name)}>\n"
                for compiler in filter(shutil.which, ("g++", "clang++-19")):
                    with self.subTest(header=name, compiler=compiler):
                        run(compiler, *flags, input=text)

    def test_exports(self):
        """The libraries export names of share:: and nothing else"""
        ours = re.compile(r"^((typeinfo|typeinfo name|vtable|VTT|guard variable|(non-virtual|virtual) thunk) (for|to) )?"
                          r"share::")
        libraries = [name for name in sorted(os.listdir(self.libdir)) if name.endswith(".so")]
        self.assertEqual([name[3:-3] for name in libraries], self.packages())
        for name in libraries:
            table = run("nm", "-DC", "--defined-only", os.path.join(self.libdir, name)).splitlines()
            symbols = [line.split(maxsplit=2)[2] for line in table]
            self.assertTrue(symbols, name)
            with self.subTest(library=name):
                self.assertEqual([symbol for symbol in symbols if not ours.match(symbol)], [])


if __name__ == "__main__":
    junit.main()
