#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Lines of src/ and apps/ that the tests reached, by folder, of all that was built below a build folder, whether it ran or not."""
import collections
import json
import pathlib
import subprocess
import sys

root = pathlib.Path(__file__).resolve().parent.parent
reached = collections.defaultdict(dict)  # file -> line -> how often, summed over all objects
for data in pathlib.Path(sys.argv[1]).resolve().rglob("*.gcno"):
    told = subprocess.run(["gcov", "--json-format", "--stdout", data.name], cwd=data.parent, capture_output=True)  # without a .gcda beside it: nothing of it ran
    for document in told.stdout.splitlines():
        for file in json.loads(document)["files"]:
            path = pathlib.Path(data.parent, file["file"]).resolve()
            if path.is_relative_to(root / "src") or path.is_relative_to(root / "apps"):
                lines = reached[path.relative_to(root)]
                for line in file["lines"]:
                    number = line["line_number"]
                    lines[number] = lines.get(number, 0) + line["count"]

folders = collections.defaultdict(lambda: [0, 0])
for path, lines in reached.items():
    for folder in (path.parent.as_posix(), "all"):
        folders[folder][0] += sum(count > 0 for count in lines.values())
        folders[folder][1] += len(lines)
for folder in sorted(folders, key=lambda name: (name == "all", name)):
    hit, total = folders[folder]
    print(f"{folder:24} {hit:6} of {total:6} lines  {100 * hit / max(total, 1):5.1f} %")
