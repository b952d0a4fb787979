#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""An installed libshare can be used by another project, by nothing but pkg-config, in C++20."""
import json
import os
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
            for name in headers:
                text = f"#include <{os.path.join('share', room, name)}>\n"
                with self.subTest(header=name):
                    run("g++", "-std=c++20", "-fsyntax-only", "-x", "c++", "-", *self.flags(package), input=text)


if __name__ == "__main__":
    junit.main()
