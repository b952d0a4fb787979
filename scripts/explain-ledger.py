#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""explain-ledger.py FILE: tells in plain lines what the ledgers in FILE (--explain=json) say of their last frame.

The format is docs/ledger.md. Exit status 1 when no program recorded a frame: then nothing was shown.
"""
import json
import sys

WHO = {"us": "by the program itself", "server": "by the X server", "compositor": "by the compositor"}


def amount(count):
    if count is None:
        return "an unknown number of bytes"
    return f"{count:,} bytes" if count else "no byte"


def read(path):
    """The last frame with steps and the summary of each program, in order of appearance."""
    programs = {}
    with open(path, encoding="utf-8", errors="replace") as file:
        for line in file:
            try:
                entry = json.loads(line)
            except ValueError:
                continue
            if entry.get("v") != 1:
                continue
            ledger = programs.setdefault(entry["program"], {"frame": None, "summary": None})
            if entry["type"] == "summary":
                ledger["summary"] = entry
            elif entry["steps"]:
                ledger["frame"] = entry
    return programs


def tell(program, ledger):
    frame, summary = ledger["frame"], ledger["summary"]
    if frame:
        print(f"\n{program}, the last frame of {frame['stream']}:")
        for step in frame["steps"]:
            reason = f" ({step['reason']})" if step["reason"] else ""
            print(f"  {step['stage']}: {step['mechanism']}, {amount(step['bytes_copied'])} copied "
                  f"{WHO.get(step['by'], step['by'])}{reason}")
    if not summary:
        return
    for note in summary["notes"]:
        if note["about"].endswith(" formats"):
            continue  # long lists; they are in the file
        print(f"  {note['about']}: {note['text']}")
    totals = summary["totals"]
    copied = [f"{amount(totals['copied_by_' + by])} {who}" for by, who in WHO.items() if totals["copied_by_" + by]]
    text = " and ".join(copied) if copied else "nothing by anybody"
    hidden = f"; {totals['unknown_steps']} steps of a peer cannot be seen" if totals["unknown_steps"] else ""
    print(f"  copied in all {totals['frames']} frames: {text}{hidden}")


def main(path):
    programs = read(path)
    print("What the ledgers say:")
    for program, ledger in sorted(programs.items(), key=lambda item: "compositor" in item[0]):
        tell(program, ledger)
    if any(ledger["summary"] and ledger["summary"]["totals"]["frames"] for ledger in programs.values()):
        return 0
    print("no frame was recorded: nothing was shown")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
