#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Command lines made by chance from a program's own help: its verbs and flags, with words that no one expects. Whatever it is told, a program
ends with an exit code of ours, and what it says can be shown on a terminal.

  arguments.py PROGRAM SEED COUNT     runs PROGRAM below the current folder, COUNT times
"""
import os
import random
import re
import subprocess
import sys

EXIT_CODES = set(range(0, 13)) | {127}  # 127: `phase run` found no such command
LONG = {"selftest", "bench"}            # do something that takes its time, with next to any words
HELP = ("-h", "--help", "--help-all", "--version")
WORDS = [*HELP, "", " ", "-", "--", "---", "=", ":", "::", "a", "a:b", "a:b/c", "a:/", ":a/b", "a:b/../c", "/", "..", "./x", "/dev/null", "~", "*", "[", "[z-a]", "**",
         "0", "-1", "1", "007", "1e999", "nan", "inf", "0x10", "18446744073709551616", "9" * 400, "1.5", "10Mbit", "10M", "1 Gbit", "-5Mbit", "64KiB", "1EiB", "99999999EiB",
         "6h", "-6h", "2026-02-30T00:00:00Z", "2026-11-27T12:00:00Z", "9999999999-01-01T00:00:00Z", "%s%n%x", "\n", "\x1b[31m", "\u202e", b"\xff\xfe", "é", "x" * 5000, "x/" * 300 + "y",
         "true", "off", "always", "rename", "marker", "memory", "readback", "sha256:" + "0" * 64, "sha256:", "{}", '{"v":1}', "local:user/nobody", "spiffe://a/site/b/gw/c"]
SHOWN = re.compile(rb"[^\n\r\x20-\x7e\x80-\xff]")


def parts_of(program, verb):
    """The verbs below one, and its flags."""
    text = subprocess.run([program, *verb, "--help"], capture_output=True, text=True, check=True).stdout
    below = text.split("\nSubcommands:")[1] if "\nSubcommands:" in text else ""
    return re.findall(r"^  ([a-z][a-z-]*) ", below, re.MULTILINE), sorted(set(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", text)) - set(HELP))


def verbs_of(program, verb=()):
    below, flags = parts_of(program, verb)
    found = [(verb, flags)]
    for name in below:
        if name not in LONG:
            found += verbs_of(program, (*verb, name))
    return found


def some_line(verbs, chance):
    verb, flags = chance.choice(verbs)
    line = list(verb)
    for _ in range(chance.randrange(6)):
        kind = chance.random()
        if kind < 0.4 and flags:
            line.append(chance.choice(flags))
        elif kind < 0.5 and flags:
            line.append(os.fsencode(chance.choice(flags)) + b"=" + encoded(chance.choice(WORDS)))
        else:
            line.append(chance.choice(WORDS))
    return [encoded(word) for word in line if b"\0" not in encoded(word)]


def encoded(word):
    return word if isinstance(word, bytes) else word.encode()


def check(program, line):
    ran = subprocess.run([program, *line], stdin=subprocess.DEVNULL, capture_output=True, timeout=60)
    said = ran.stderr + (ran.stdout if b"--json" not in line and b"-0" not in line else b"")
    if ran.returncode not in EXIT_CODES:
        return f"ended with {ran.returncode}"
    if ran.returncode == 2 and (not ran.stderr.startswith(b"tideway: ") or b"(usage)" not in ran.stderr):
        return "said nothing of how it is used"
    if ran.returncode != 0 and not said:
        return f"ended with {ran.returncode} and not a word"
    if found := SHOWN.search(said):
        return f"said the character {found[0]!r}"
    return None


def main():
    program, chance, count = sys.argv[1], random.Random(int(sys.argv[2])), int(sys.argv[3])
    verbs, wrong = verbs_of(program), 0
    for _ in range(count):
        line = some_line(verbs, chance)
        if problem := check(program, line):
            wrong += 1
            print(f"{problem}: {line}", file=sys.stderr)
    print(f"{count} command lines of {len(verbs)} verbs")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
