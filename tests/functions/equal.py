#!/usr/bin/env python3
"""Asks every build of a function the same and compares the answers byte for byte: `equal.py NAME...`.

Exit status 77: skipped, since the function is not built or the machine cannot run containers.
"""
import pathlib
import sys

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "e2e")]

from builds import deployed  # noqa: E402
from node import Skip  # noqa: E402
from inputs import requests_of  # noqa: E402


def differences(function):
    """What is not equal among the answers of the function's builds, and how many requests were asked."""
    found, requests = [], requests_of(function.name, function.origin)
    for request in requests:
        answers = {build: function.ask(build, request) for build in function.builds()}
        first, *others = answers.items()
        found += [f"{request.label}: the node answers for {build}: {answer}" for build, answer in answers.items()
                  if answer.body.startswith(b'{"error":{"code":')]
        for build, answer in others:
            for what in ("status", "body"):
                if getattr(answer, what) != getattr(first[1], what):
                    found.append(f"{request.label}: {what} of {first[0]} {first[1]}, of {build} {answer}")
            if answer.headers["Content-Type"] != first[1].headers["Content-Type"]:
                found.append(f"{request.label}: another Content-Type")
    return found, len(requests)


def main():
    try:
        for name in sys.argv[1:]:
            with deployed(name) as function:
                found, asked = differences(function)
                print(f"{name}: {asked} requests to {', '.join(function.builds())}, {len(found)} differences")
                if found:
                    sys.exit("\n".join(found))
    except Skip as reason:
        print(f"skipped: {reason}")
        sys.exit(77)


if __name__ == "__main__":
    main()
