#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""scripts/setup.sh and its helpers, without installing anything: sources, other systems, package lists."""
import os
import re
import subprocess
import tempfile
import unittest

import junit

SOURCE_ROOT = os.environ["SHARE_SOURCE_ROOT"]
SCRIPTS = os.path.join(SOURCE_ROOT, "scripts")
KEY = "/usr/share/keyrings/debian-archive-keyring.gpg"


def sources(name, text):
    """The lines that apt-sources.awk makes of a source file."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        done = subprocess.run(["awk", "-f", os.path.join(SCRIPTS, "apt-sources.awk"), path],
                              capture_output=True, text=True, check=True)
    return [line.split("\t") for line in done.stdout.splitlines()]


class Sources(unittest.TestCase):
    def test_deb822(self):
        """A deb822 source gives one line for each suite, with its key"""
        text = f"Types: deb deb-src\nURIs: file:/mirror/debian\nSuites: bookworm bookworm-updates\n" \
               f"Components: main contrib\nSigned-By: {KEY}\n"
        self.assertEqual(sources("d.sources", text), [
            ["file:/mirror/debian", "bookworm", "main contrib", KEY],
            ["file:/mirror/debian", "bookworm-updates", "main contrib", KEY]])

    def test_deb822_off(self):
        """A disabled stanza and one of sources only give nothing"""
        text = "Enabled: no\nTypes: deb\nURIs: file:/a\nSuites: bookworm\nComponents: main\n\n" \
               "# a remark\nTypes: deb-src\nURIs: file:/b\nSuites: bookworm\nComponents: main\n"
        self.assertEqual(sources("d.sources", text), [])

    def test_embedded_key(self):
        """An embedded key is kept line by line"""
        text = "Types: deb\nURIs: file:/a\nSuites: bookworm\nComponents: main\nSigned-By:\n -----BEGIN\n .\n abc\n"
        self.assertEqual(sources("d.sources", text)[0][3], "\\n -----BEGIN\\n .\\n abc")

    def test_one_line(self):
        """A one-line source gives its URI, suite, components and key"""
        text = f"# remark\ndeb [arch=amd64 signed-by={KEY}] file:/mirror bookworm main non-free # why\n" \
               "deb-src file:/mirror bookworm main\n deb file:/other/path bookworm-backports main\n"
        self.assertEqual(sources("a.list", text), [
            ["file:/mirror", "bookworm", "main non-free", KEY],
            ["file:/other/path", "bookworm-backports", "main", ""]])


class Setup(unittest.TestCase):
    def run_setup(self, os_release):
        with tempfile.NamedTemporaryFile("w", suffix="os-release") as file:
            file.write(os_release)
            file.flush()
            return subprocess.run([os.path.join(SCRIPTS, "setup.sh"), "build"], capture_output=True, text=True,
                                  check=False, env={**os.environ, "SHARE_OS_RELEASE": file.name, "CI": "true"})

    def test_other_system(self):
        """Another system is told the upstream names and gets status 3"""
        done = self.run_setup("ID=plan9\nVERSION_CODENAME=fourth\n")
        self.assertEqual(done.returncode, 3)
        for name in ("Meson 1.3", "libjpeg-turbo", "Little CMS", "wayland-scanner"):
            self.assertIn(name, done.stdout)
        self.assertNotIn("libjpeg62-turbo-dev", done.stdout)

    def test_lists(self):
        """Every line of the package lists has a package, a version or a dash, and an upstream name"""
        for name in ("build", "run", "test"):
            with open(os.path.join(SCRIPTS, "packages", name + ".txt"), encoding="utf-8") as file:
                lines = [line.rstrip("\n") for line in file if line.strip() and not line.startswith("#")]
            self.assertTrue(lines)
            for line in lines:
                self.assertRegex(line, re.compile(r"^[a-z0-9][a-z0-9+.-]+ (-|[0-9][0-9.]*) \S.*$"))


if __name__ == "__main__":
    junit.main()
