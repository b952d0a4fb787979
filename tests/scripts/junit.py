# SPDX-License-Identifier: MIT
"""Runs the unittest cases of a module and leaves a JUnit file where ./dev test counts them."""
import os
import re
import sys
import unittest
import xml.etree.ElementTree as ElementTree


class Result(unittest.TextTestResult):
    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.cases = []

    def record(self, test, tag=None, text=""):
        self.cases.append(((test.shortDescription() or test.id()), tag, text))

    def addSuccess(self, test):
        super().addSuccess(test)
        self.record(test)

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self.record(test, "failure", self._exc_info_to_string(err, test))

    def addError(self, test, err):
        super().addError(test, err)
        self.record(test, "error", self._exc_info_to_string(err, test))

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self.record(test, "skipped", reason)


def write(cases, path):
    suite = ElementTree.Element("testsuite", tests=str(len(cases)))
    for name, tag, text in cases:
        case = ElementTree.SubElement(suite, "testcase", name=name)
        if tag:
            ElementTree.SubElement(case, tag, message=text.strip().splitlines()[-1]).text = text
    ElementTree.ElementTree(suite).write(path)


def main():
    program = unittest.main(exit=False, testRunner=unittest.TextTestRunner(resultclass=Result), verbosity=1)
    folder = os.environ.get("SHARE_TEST_RESULTS")
    if folder:
        os.makedirs(folder, exist_ok=True)
        name = re.sub(r"[^A-Za-z0-9._-]", "_", "-".join([os.path.basename(sys.argv[0])] + sys.argv[1:]))
        write(program.result.cases, os.path.join(folder, name + ".xml"))
    sys.exit(0 if program.result.wasSuccessful() else 1)
