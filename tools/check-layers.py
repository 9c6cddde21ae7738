#!/usr/bin/env python3
"""Checks that a folder of src/ includes only from itself and from those above it in src/README.md."""
import pathlib
import re
import sys

root = pathlib.Path(__file__).resolve().parent.parent / "src"
order = re.findall(r"^\| ([a-z]+) \|", (root / "README.md").read_text(), re.M)
order.remove("folder") if "folder" in order else None
rank = {name: place for place, name in enumerate(order)}
bad = 0
for path in sorted(root.rglob("*.[ch]*")):
    folder = path.relative_to(root).parts[0]
    if path.suffix not in (".h", ".cc") or folder not in rank:
        continue
    for number, line in enumerate(path.read_text().splitlines(), 1):
        match = re.match(r'#include "([a-z]+)/', line)
        if match and match[1] in rank and rank[match[1]] > rank[folder]:
            if path.name.endswith("_test.cc"):
                continue
            print(f"{path}:{number}: {folder} includes {match[1]}, which comes after it in src/README.md")
            bad += 1
sys.exit(1 if bad else 0)
