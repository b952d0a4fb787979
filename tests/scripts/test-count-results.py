#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""scripts/count-results.py counts cases and believes no program that died."""
import json
import os
import subprocess
import sys
import tempfile
import unittest

import junit

COUNTER = os.path.join(os.environ["SHARE_SOURCE_ROOT"], "scripts", "count-results.py")
GOOD = '<testsuites><testsuite><testcase name="a"/><testcase name="b"/></testsuite></testsuites>'
MIXED = '<testsuites><testsuite><testcase name="a"/><testcase name="b"><failure message="1 == 2"/></testcase>' \
        '<testcase name="c"><skipped>SKIPPED\nno /dev/udmabuf\nat x.cpp:3\n</skipped></testcase></testsuite></testsuites>'


class Counting(unittest.TestCase):
    def count(self, tests, files):
        with tempfile.TemporaryDirectory() as folder:
            os.makedirs(os.path.join(folder, "meson-logs"))
            os.makedirs(os.path.join(folder, "test-results"))
            if tests is not None:
                with open(os.path.join(folder, "meson-logs", "testlog.json"), "w", encoding="utf-8") as log:
                    log.writelines(json.dumps(test) + "\n" for test in tests)
            for name, text in files.items():
                with open(os.path.join(folder, "test-results", name), "w", encoding="utf-8") as file:
                    file.write(text)
            done = subprocess.run([sys.executable, COUNTER, folder], capture_output=True, text=True, check=False)
        return done.returncode, done.stdout, done.stdout.splitlines()[-1]

    @staticmethod
    def ran(result, *command, status=0):
        return {"name": "core", "result": result, "command": list(command or ["/b/test-core"]), "returncode": status}

    def test_good(self):
        """Cases of a good program are counted one by one"""
        status, _, last = self.count([self.ran("OK")], {"test-core.xml": GOOD})
        self.assertEqual((status, last), (0, "2 passed, 0 failed, 0 skipped"))

    def test_mixed(self):
        """Failed and skipped cases are counted and listed with their reasons"""
        status, out, last = self.count([self.ran("FAIL", status=1)], {"test-core.xml": MIXED})
        self.assertEqual((status, last), (1, "1 passed, 1 failed, 1 skipped"))
        self.assertIn("no /dev/udmabuf", out)
        self.assertIn("1 == 2", out)

    def test_crash(self):
        """A program that crashed without a file is one failed case"""
        status, out, last = self.count([self.ran("FAIL", status=-11)], {})
        self.assertEqual((status, last), (1, "0 passed, 1 failed, 0 skipped"))
        self.assertIn("ended with -11", out)

    def test_crash_after_good_cases(self):
        """A program that failed though all its cases passed is one failed case more"""
        status, _, last = self.count([self.ran("FAIL", status=1)], {"test-core.xml": GOOD})
        self.assertEqual((status, last), (1, "2 passed, 1 failed, 0 skipped"))

    def test_timeout_with_half_a_file(self):
        """A program that timed out and left half a file is one failed case"""
        status, out, last = self.count([self.ran("TIMEOUT")], {"test-core.xml": GOOD[:40]})
        self.assertEqual((status, last), (1, "0 passed, 1 failed, 0 skipped"))
        self.assertIn("timed out", out)

    def test_arguments_and_wrapper(self):
        """One program run twice with other arguments is counted twice, a wrapper in front is no part of it"""
        tests = [self.ran("OK", "/b/test-core", "[fast]"), self.ran("OK", "setarch", "-R", "/b/test-core", "[slow]")]
        status, _, last = self.count(tests, {"test-core-_fast_.xml": GOOD, "test-core-_slow_.xml": GOOD})
        self.assertEqual((status, last), (0, "4 passed, 0 failed, 0 skipped"))

    def test_results_elsewhere(self):
        """Results lie where the test's own environment says, and a runner's options are no part of its program"""
        with tempfile.TemporaryDirectory() as results:
            with open(os.path.join(results, "test-core.xml"), "w", encoding="utf-8") as file:
                file.write(GOOD)
            test = self.ran("OK", "/s/vm/run", "-w", results, "--", "/b/test-core")
            test["env"] = {"SHARE_TEST_RESULTS": results}
            status, _, last = self.count([test], {"test-core.xml": MIXED})
        self.assertEqual((status, last), (0, "2 passed, 0 failed, 0 skipped"))

    def test_nothing_ran(self):
        """No log at all is a failure, and so is a run in which nothing passed"""
        self.assertEqual(self.count(None, {})[0], 1)
        self.assertEqual(self.count([], {})[0], 1)


if __name__ == "__main__":
    junit.main()
