#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""count-results.py BUILD-DIR...: counts test cases, not test programs.

Reads each folder's meson-logs/testlog.json and the JUnit files that the test programs left in test-results/.
A program that failed without a failed case to show for it (crash, time-out, damaged file) counts as one failed
case; a program that leaves no file (a script) counts as one case. The last line is
"N passed, N failed, N skipped"; the exit status is 0 when nothing failed and something passed.
"""
import json
import os
import re
import sys
import xml.etree.ElementTree as ElementTree


class Count:
    def __init__(self):
        self.passed = 0
        self.failed = []
        self.skipped = []

    def add(self, other):
        self.passed += other.passed
        self.failed += other.failed
        self.skipped += other.skipped

    def line(self):
        return f"{self.passed} passed, {len(self.failed)} failed, {len(self.skipped)} skipped"


def junit_file(folder, test):
    """Where tests/support/main.cpp writes the results of this test's command line."""
    command = program_of(test)
    results = (test.get("env") or {}).get("SHARE_TEST_RESULTS") or os.path.join(folder, "test-results")
    name = "-".join([os.path.basename(command[0])] + command[1:])
    return os.path.join(results, re.sub(r"[^A-Za-z0-9._-]", "_", name) + ".xml")


def program_of(test):
    """The test's own command line, without a wrapper in front of it."""
    command = test["command"]
    for index, word in enumerate(command):
        if os.path.basename(word).startswith("test-"):
            return command[index:]
    return command


def one_line(text, limit=300):
    lines = [line.strip() for line in (text or "").splitlines()]
    lines = [line for line in lines if line and line not in ("SKIPPED", "FAILED:") and not line.startswith("at ")]
    return " ".join(lines)[:limit]


def read_cases(path, program):
    """The Count of one JUnit file, or None when there is none that can be read."""
    try:
        root = ElementTree.parse(path).getroot()
    except (OSError, ElementTree.ParseError):
        return None
    count = Count()
    for case in root.iter("testcase"):
        name = f"{program}: {case.get('name')}"
        bad = case.find("failure") if case.find("failure") is not None else case.find("error")
        skip = case.find("skipped")
        if bad is not None:
            count.failed.append((name, one_line(bad.get("message")) or one_line(bad.text)))
        elif skip is not None:
            count.skipped.append((name, one_line(skip.text) or one_line(skip.get("message"))))
        else:
            count.passed += 1
    return count


def last_line(test):
    lines = [line for line in (test.get("stdout") or "").splitlines() if line.strip()]
    return lines[-1].strip() if lines else ""


def count_program(folder, test):
    name, result = test["name"], test["result"]
    count = read_cases(junit_file(folder, test), name)
    if result in ("OK", "SKIP", "EXPECTEDFAIL"):
        if count is None:
            count = Count()
            if result == "SKIP":
                count.skipped.append((name, last_line(test)))
            else:
                count.passed = 1
        return count
    count = count or Count()
    if not count.failed:
        why = {"TIMEOUT": "timed out", "INTERRUPT": "interrupted"}.get(result, f"ended with {test.get('returncode')}")
        count.failed.append((name, f"the program {why}; see {folder}/meson-logs/testlog.txt"))
    return count


def count_folder(folder):
    total = Count()
    try:
        with open(os.path.join(folder, "meson-logs", "testlog.json"), encoding="utf-8") as log:
            tests = [json.loads(line) for line in log if line.strip()]
    except OSError as error:
        total.failed.append((folder, f"no tests were run: {error}"))
        return total
    for test in tests:
        total.add(count_program(folder, test))
    return total


def main(folders):
    total = Count()
    for folder in folders:
        count = count_folder(folder)
        for kind, cases in (("skipped", count.skipped), ("FAILED", count.failed)):
            for name, why in cases:
                print(f"{kind}: [{folder}] {name}" + (f" ({why})" if why else ""))
        print(f"{folder}: {count.line()}")
        total.add(count)
    print(total.line())
    return 0 if total.passed and not total.failed else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
