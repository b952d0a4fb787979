#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""meson-options.py DIR -Dname=value...: sets these options of a build folder where they differ.

`meson configure` alone would make the next build reconfigure each time, changed or not.
"""
import json
import subprocess
import sys


def text(value):
    if isinstance(value, bool):
        return "true" if value else "false"
    return ",".join(value) if isinstance(value, list) else str(value)


def main():
    folder, wanted = sys.argv[1], sys.argv[2:]
    shown = subprocess.run(["meson", "introspect", "--buildoptions", folder], check=True, capture_output=True)
    now = {option["name"]: text(option["value"]) for option in json.loads(shown.stdout)}
    change = [arg for arg in wanted if now.get(arg[2:].partition("=")[0]) != arg.partition("=")[2]]
    if change:
        subprocess.run(["meson", "configure", folder, *change], check=True, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    main()
