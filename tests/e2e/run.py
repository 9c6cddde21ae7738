#!/usr/bin/env python3
"""Runs end-to-end cases by name. `run.py --list` names them; exit 77 means skipped."""
import importlib
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))
MODULES = ["cases_routing", "cases_bad_input", "cases_faults", "cases_images", "cases_state", "cases_cli",
           "cases_overload", "cases_privileges", "cases_exhaustion", "cases_tls", "cases_network", "cases_engines",
           "cases_runtimes"]


def cases():
    found = {}
    for module in map(importlib.import_module, MODULES):
        for name, value in vars(module).items():
            if name.startswith("test_"):
                found[name[5:]] = value
    return found


def main():
    known = cases()
    if sys.argv[1:] == ["--list"]:
        print("\n".join(known))
        return 0
    from node import Skip
    try:
        for name in sys.argv[1:]:
            known[name]()
    except Skip as reason:
        print(f"skipped: {reason}")
        return 77
    return 0


if __name__ == "__main__":
    sys.exit(main())
