#!/usr/bin/env python3
"""Tries walls of docs/security.md on this machine and prints what held: `make walls`.

Writes OUT/walls.json and adds its figures to OUT/summary.json. Exit status 0 when everything held.
"""
import argparse
import importlib
import os
import pathlib
import sys
import time
import traceback

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent

# In order; each module has run(table).
PARTS = ["datagrams", "escape", "canaries", "kills", "faults", "exhaustion", "overload", "fuzz"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", type=pathlib.Path, required=True, help="folder of the built programs")
    parser.add_argument("--out", type=pathlib.Path, required=True, help="folder for the results")
    parser.add_argument("--only", metavar="PART,...", help="only these parts: " + ", ".join(PARTS))
    arguments = parser.parse_args()
    wanted = arguments.only.split(",") if arguments.only else PARTS
    unknown = [part for part in wanted if part not in PARTS]
    if unknown:
        parser.error(f"no such part: {', '.join(unknown)}")
    os.environ["HYBRIDSERVE_BIN"] = str(arguments.bin.resolve())
    sys.path[:0] = [str(HERE / "parts"), str(HERE), str(HERE.parent / "e2e"), str(HERE.parent.parent / "bench")]

    from node import Skip
    from table import METRICS, Table
    table = Table(arguments.out)
    for part in wanted:
        print(f"{part} ...", flush=True)
        started = time.monotonic()
        try:
            importlib.import_module(part).run(table)
        except Skip as reason:
            table.row(part, "everything", None, str(reason))
        except Exception as error:  # One broken part must not hide the others.
            traceback.print_exc()
            table.row(part, "the part itself", False, f"{type(error).__name__}: {error}")
        print(f"  {time.monotonic() - started:.0f} s", flush=True)
    for metric in METRICS:
        table.miss(metric, "not measured in this run")
    table.print()
    return 0 if table.held() else 1


if __name__ == "__main__":
    sys.exit(main())
