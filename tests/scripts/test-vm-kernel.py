#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""scripts/vm/kernel.sh finds, believes and replaces kernels of its cache. Builds none: apt and uname are fakes."""
import hashlib
import os
import shutil
import subprocess
import tempfile
import unittest

import junit

VM = os.path.join(os.environ["SHARE_SOURCE_ROOT"], "scripts", "vm")
MADISON = " linux-source-6.12 | 6.12.95-1~bpo12+1 | file:/m bookworm-backports/main amd64 Packages\n" \
          " linux-source-6.12 | 6.12.117-1~deb12u1 | file:/m bookworm-security/main amd64 Packages\n" \
          " linux-source-6.12 | 6.12.200-1 | file:/m bookworm/main Sources\n"


class Kernel(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.bin, self.cache = self.path("bin"), self.path("cache")
        os.makedirs(self.bin)
        self.fake("uname", "echo Linux x86_64")
        self.apt("linux-source\nlinux-source-6.1\nlinux-source-6.12\nlinux-source-6.12-rt\n")
        self.fake("apt-get", "echo 'no network' >&2; exit 100")

    def path(self, name):
        return os.path.join(self.folder.name, name)

    def fake(self, name, script):
        with open(os.path.join(self.bin, name), "w", encoding="utf-8") as file:
            file.write("#!/bin/sh\n" + script + "\n")
        os.chmod(os.path.join(self.bin, name), 0o755)

    def apt(self, names):
        self.fake("apt-cache", f"case $1 in pkgnames) printf '{names}' ;; "
                               f"madison) [ $2 = linux-source-6.12 ] && cat <<'X'\n{MADISON}X\n;; esac; true")
        shutil.rmtree(self.cache, ignore_errors=True)  # with the note of what apt said

    def run_it(self, verb, scripts=VM):
        environment = dict(os.environ, PATH=f"{self.bin}:{os.environ['PATH']}", XDG_CACHE_HOME=self.cache)
        return subprocess.run([os.path.join(scripts, "kernel.sh"), verb], env=environment, capture_output=True,
                              text=True, check=False)

    def where(self, scripts=VM):
        done = self.run_it("where", scripts)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done.stdout.strip()

    def put(self, path, content=b"kernel", stamp=True):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(content)
        os.chmod(path, 0o755)
        if stamp:
            with open(os.path.join(os.path.dirname(path), "sum"), "w", encoding="ascii") as file:
                file.write(hashlib.sha256(content).hexdigest() + "  -\n")

    def test_newest(self):
        """The kernel is made of the newest linux-source of any suite, and no variant of it"""
        self.assertIn("/libshare/vm/6.12.117-1~deb12u1-", self.where())

    def test_good(self):
        """A kernel with its checksum beside it is found"""
        path = self.where()
        self.put(path)
        done = self.run_it("find")
        self.assertEqual((done.returncode, done.stdout), (0, path + "\n"))
        self.assertEqual(self.run_it("build").stdout, path + "\n")

    def test_missing(self):
        """Where none was built, the reason says how to"""
        done = self.run_it("find")
        self.assertEqual(done.returncode, 77)
        self.assertRegex(done.stdout, r"\Ano VM kernel: .*\./dev vm-kernel\n\Z")

    def test_broken(self):
        """A half-written or damaged kernel does not count, and is built again"""
        path = self.where()
        for content, stamp in ((b"half", False), (b"kernel", True)):
            self.put(path, content, stamp)
            if stamp:
                self.put(path, b"kerne", False)
            self.assertEqual(self.run_it("find").returncode, 77)
            build = self.run_it("build")
            self.assertEqual(build.returncode, 1)
            self.assertIn("cannot download linux-source-6.12 6.12.117-1~deb12u1", build.stderr)
            self.assertFalse(os.path.exists(os.path.join(self.cache, "libshare", "vm", "build")))

    def test_key(self):
        """Another fragment or patch is another kernel; another runner is not"""
        copy, before = self.path("vm"), self.where()
        shutil.copytree(VM, copy)
        self.assertEqual(self.where(copy), before)
        with open(os.path.join(copy, "run"), "a", encoding="utf-8") as file:
            file.write("# more\n")
        self.assertEqual(self.where(copy), before)
        seen = {before}
        for name in ("kernel.config", "patches/0001-vkms-syncobj.patch"):
            with open(os.path.join(copy, name), "a", encoding="utf-8") as file:
                file.write("# more\n")
            seen.add(self.where(copy))
        self.assertEqual(len(seen), 3)

    def test_architecture(self):
        """On another architecture there is none, and the reason is one line"""
        self.fake("uname", "echo Linux aarch64")
        for verb in ("find", "build"):
            done = self.run_it(verb)
            self.assertEqual(done.returncode, 77)
            self.assertRegex(done.stdout, r"\Ano VM kernel: [^\n]*aarch64\n\Z")

    def test_no_package(self):
        """Without a linux-source in apt there is none, but for one that was built before"""
        path = self.where()
        self.apt("linux-image-amd64\n")
        done = self.run_it("build")
        self.assertEqual(done.returncode, 77)
        self.assertRegex(done.stdout, r"\Ano VM kernel: [^\n]*linux-source[^\n]*\n\Z")
        self.put(path)
        self.assertEqual(self.run_it("find").stdout, path + "\n")


if __name__ == "__main__":
    junit.main()
