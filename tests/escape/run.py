#!/usr/bin/env python3
"""Tries to get out: `run.py container|executor|images|control`, each a test. Exit 77 means skipped.

`run.py --table` runs everything, runc too, and prints the table of docs/security.md."""
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "e2e")]
from images import try_images
from report import document, try_everything
from world import Skip, try_container, try_control, try_executor


def must_hold(attempts):
    lost = [attempt for attempt in attempts if not attempt.held]
    for attempt in lost:
        print(f"{attempt.group}: {attempt.name}: {attempt.detail}")
    print(f"{len(attempts)} tried, {len(lost)} did not hold")
    return 1 if lost else 0


# What an ordinary user in namespaces of its own can do on any machine that has them.
OPEN_IN_CONTROL = {"kernel.mount", "kernel.mount_bind", "kernel.chroot", "kernel.fsopen", "namespaces.unshare_user",
                   "namespaces.unshare_mount", "namespaces.clone_user", "privileges.setuid_program",
                   "processes.ptrace_self", "network.abstract_socket", "network.host_ports", "files.host_file"}


def must_be_open(attempts):
    """The payload finds open what is open, and the host's victims live all the same."""
    opened = {attempt.name for attempt in attempts if not attempt.held}
    missed = OPEN_IN_CONTROL - opened
    lost = {name for name in opened if name.startswith("outside.")}
    print(f"open: {', '.join(sorted(opened))}\nnot noticed: {missed or 'none'}; harmed: {lost or 'nothing'}")
    return 1 if missed or lost else 0


TESTS = {
    "container": lambda: must_hold(try_container()),
    "executor": lambda: must_hold(try_executor()),
    "images": lambda: must_hold(try_images()),
    "control": lambda: must_be_open(try_control()),
}


def main():
    try:
        if sys.argv[1:] == ["--table"]:
            print(document(try_everything()))
            return 0
        return TESTS[sys.argv[1]]()
    except Skip as reason:
        print(f"skipped: {reason}")
        return 77


if __name__ == "__main__":
    sys.exit(main())
