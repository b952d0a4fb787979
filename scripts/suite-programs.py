#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""suite-programs.py DIR SUITE: the build targets (one a line) that the tests of this suite run."""
import json
import os
import subprocess
import sys


def main():
    folder, suite = sys.argv[1], sys.argv[2]
    shown = subprocess.run(["meson", "introspect", "--tests", folder], check=True, capture_output=True)
    root = os.path.abspath(folder)
    programs = set()
    for test in json.loads(shown.stdout):
        if any(name.rpartition(":")[2] == suite for name in test["suite"]):
            programs.add(os.path.relpath(test["cmd"][0], root))
    print("\n".join(sorted(program for program in programs if not program.startswith(".."))))


if __name__ == "__main__":
    main()
