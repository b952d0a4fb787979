#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""suite-programs.py DIR SUITE...: the build targets (one a line) that the tests of these suites need."""
import json
import os
import subprocess
import sys


def introspect(folder, what):
    shown = subprocess.run(["meson", "introspect", what, folder], check=True, capture_output=True)
    return json.loads(shown.stdout)


def main():
    folder, suites = sys.argv[1], set(sys.argv[2:])
    files = {target["id"]: target["filename"] for target in introspect(folder, "--targets")}
    root = os.path.abspath(folder)
    programs = set()
    for test in introspect(folder, "--tests"):
        if suites.intersection(name.rpartition(":")[2] for name in test["suite"]):
            for target in test["depends"]:
                programs.update(os.path.relpath(file, root) for file in files[target])
    print("\n".join(sorted(programs)))


if __name__ == "__main__":
    main()
