#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""scripts/vm/run: what goes into the VM, what comes back, and that nothing stays."""
import fcntl
import os
import pty
import signal
import struct
import subprocess
import tempfile
import termios
import time
import unittest

import junit

VM = os.path.join(os.environ["SHARE_SOURCE_ROOT"], "scripts", "vm")
RUN = os.path.join(VM, "run")


def setUpModule():
    if os.environ.get("SHARE_VM_KERNEL"):
        return
    found = subprocess.run([os.path.join(VM, "kernel.sh"), "find"], capture_output=True, text=True, check=False)
    if found.returncode == 77:
        raise unittest.SkipTest(found.stdout.strip())


def vm(*arguments, **options):
    return subprocess.run([RUN, *arguments], capture_output=True, check=False, **options)


class Running(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def test_status_and_output(self):
        """Status, output and errors come back as they were, each by its own way"""
        done = vm("--", "sh", "-c", "echo out; echo err >&2; exit 7")
        self.assertEqual((done.returncode, done.stdout, done.stderr), (7, b"out\n", b"err\n"))

    def test_quoting(self):
        """Arguments arrive byte by byte"""
        words = ["a b", "d'e", 'f"g', "$HOME", "", "new\nline", "\\", "*", "-t", "--", "\u00fc", b"\xff"]
        done = vm("--", "printf", "%s|", *words)
        self.assertEqual(done.stdout, b"".join(os.fsencode(word) + b"|" for word in words))

    def test_environment(self):
        """The folder and the environment are the caller's, without the displays of the host"""
        place = os.path.join(self.folder, "a folder")
        os.mkdir(place)
        done = vm("sh", "-c", 'pwd; echo "$WORD $DISPLAY$WAYLAND_DISPLAY"; id -u', cwd=place,
                  env=dict(os.environ, WORD="two  words", DISPLAY=":7", WAYLAND_DISPLAY="wayland-7"))
        self.assertEqual(done.stdout.decode(), f"{place}\ntwo  words \n0\n")

    def test_input(self):
        """Standard input is passed on to its end, from a file and from a pipe"""
        data = os.urandom(300_000)
        path = os.path.join(self.folder, "data")
        with open(path, "wb") as file:
            file.write(data)
        with open(path, "rb") as file:
            self.assertTrue(vm("cat", stdin=file).stdout == data)
        self.assertTrue(vm("cat", input=data).stdout == data)
        self.assertEqual(vm("true", input=data).returncode, 0)

    def test_path(self):
        """An ordinary user's PATH leads to root's programs too"""
        done = vm("sh", "-c", "echo $PATH", env=dict(os.environ, PATH="/usr/bin:/bin"))
        self.assertEqual(done.stdout.decode().strip(), "/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin")

    def test_writable(self):
        """What is written to a folder of -w stays, what is written elsewhere does not"""
        inside, outside = os.path.join(self.folder, "in side"), os.path.join(self.folder, "outside")
        done = vm("-w", inside, "--", "sh", "-c", f"echo 1 > '{inside}/a' && echo 2 > '{outside}' && cat '{outside}'")
        self.assertEqual((done.returncode, done.stdout), (0, b"2\n"))
        with open(os.path.join(inside, "a"), encoding="ascii") as file:
            self.assertEqual(file.read(), "1\n")
        self.assertFalse(os.path.exists(outside))

    def test_time_limit(self):
        """A command that takes too long is ended: 124, and what it said before has come"""
        done = vm("-t", "2", "--", "sh", "-c", "echo started; sleep 60")
        self.assertEqual((done.returncode, done.stdout), (124, b"started\n"))
        self.assertIn(b"time limit of 2 seconds", done.stderr)

    def test_no_command(self):
        """A program that is not there, one that dies of a signal, and one that leaves others behind"""
        self.assertEqual(vm("no-such-program").returncode, 127)
        self.assertEqual(vm("sh", "-c", "kill -SEGV $$").returncode, 128 + signal.SIGSEGV)
        done = vm("sh", "-c", "sleep 60 & echo gone")
        self.assertEqual((done.returncode, done.stdout), (0, b"gone\n"))

    def test_broken_machine(self):
        """A VM that gives no status: 125, with its console"""
        done = vm("-a", "init=/no/such/init", "--", "true")
        self.assertEqual(done.returncode, 125)
        self.assertIn(b"Requested init /no/such/init failed", done.stderr)

    def test_no_kernel(self):
        """Without a kernel: 77, and the reason on standard output"""
        environment = {name: value for name, value in os.environ.items() if name != "SHARE_VM_KERNEL"}
        done = vm("true", env=dict(environment, XDG_CACHE_HOME=self.folder))
        self.assertEqual(done.returncode, 77)
        self.assertIn(b"no VM kernel", done.stdout)

    def test_terminal(self):
        """A command of -i has a terminal, as large as the caller's"""
        pid, terminal = pty.fork()
        if pid == 0:
            os.execv(RUN, [RUN, "-i", "-t", "20", "--", "sh", "-c", "sleep 0.3; test -t 0 && stty size; read x; echo got $x"])
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 33, 99, 0, 0))
        os.write(terminal, b"word\r")
        said = b""
        try:
            while True:
                said += os.read(terminal, 4096)
        except OSError:
            pass
        _, status = os.waitpid(pid, 0)
        os.close(terminal)
        self.assertEqual(os.waitstatus_to_exitcode(status), 0)
        self.assertIn(b"33 99\r\n", said)
        self.assertIn(b"got word\r\n", said)


class Ending(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def start(self):
        process = subprocess.Popen([RUN, "--", "sh", "-c", "echo ready; sleep 60"], stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, env=dict(os.environ, TMPDIR=self.folder))
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.stderr.close)
        self.assertEqual(process.stdout.readline(), b"ready\n")
        self.assertNotEqual(self.processes(), [])
        return process

    def processes(self):
        """Those whose command line names our folder: the VM's, with all that it made of itself."""
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{pid}/cmdline", "rb") as file:
                    if f"uml_dir={self.folder}".encode() in file.read():
                        found.append(pid)
            except OSError:
                pass
        return found

    def gone(self):
        end = time.monotonic() + 10
        while self.processes() and time.monotonic() < end:
            time.sleep(0.02)
        return not self.processes()

    def test_signals(self):
        """Ctrl-C and SIGTERM end the VM: 130 and 143, no process and no file stays"""
        for number, status in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
            process = self.start()
            process.send_signal(number)
            self.assertEqual(process.wait(10), status)
            self.assertTrue(self.gone(), self.processes())
            self.assertEqual(os.listdir(self.folder), [])

    def test_kill(self):
        """SIGKILL of the runner ends the VM too, and no file stays"""
        process = self.start()
        process.kill()
        process.wait()
        self.assertTrue(self.gone(), self.processes())
        end = time.monotonic() + 10
        while os.listdir(self.folder) and time.monotonic() < end:
            time.sleep(0.02)
        self.assertEqual(os.listdir(self.folder), [])

    def test_two(self):
        """Two VMs at a time do not know of each other"""
        first, second = self.start(), self.start()
        first.terminate()
        self.assertEqual(first.wait(10), 143)
        self.assertIsNone(second.poll())
        second.terminate()
        self.assertEqual(second.wait(10), 143)


if __name__ == "__main__":
    junit.main()
