"""The cases of the conformance suite. Each runs one guest on one engine, compiler and mode and judges what came."""
import dataclasses
import os
import re
import typing

from guests import TRAPS

KIB, MIB = 1024, 1024 * 1024
WORDS = b"the quick fox and the lazy dog and the end\n"
SAID = "{} for edge\nargument one\nargument two words\n10 words, 7 different\nmost: the\n"
RESIDENT_SPREAD_KIB = 8 * 1024  # What a process may grow by between a hundredth of its runs and their end.


@dataclasses.dataclass
class Run:
    """What a case looks at when the program has ended."""
    status: int
    output: bytes
    errors: str
    report: dict
    folder: object            # The host's folder behind /data.
    began: float              # Wall clock, seconds.
    ended: float
    before: object = None     # What the case's `again` run gave, where it has one.


@dataclasses.dataclass(frozen=True)
class Case:
    name: str
    guest: str
    judge: typing.Callable[[Run], str | None]  # None: as it must be; else what is wrong.
    arguments: tuple = ()
    options: tuple = ()        # Of the verb `run`.
    stdin: bytes = b""
    folder: str = ""           # "", "ro" or "rw".
    timeout: float = 300       # Seconds for the whole process, not measured.
    twice: bool = False        # Run once before, for `before`.
    alone: bool = False        # Not beside other cases: it needs the machine.
    own_wasi: bool = True      # Whether it also runs with the engine's own WASI.
    only_modes: tuple = ()     # Empty: all.
    corrupt: str = ""          # What is done to the AOT file.
    reference: bool = False    # Its output is compared with that of Wasmtime's own WASI.


def done(output):
    def judge(run):
        if run.report.get("outcome") != "done" or run.status != 0:
            return f"ended as {run.report.get('outcome')} {run.status}: {run.errors}"
        return None if run.output == output else f"printed {len(run.output)} bytes: {run.output[:80]!r}"
    return judge


def exits(status, output=b""):
    def judge(run):
        if run.status != status or run.report.get("exit_status") != status:
            return f"exit status {run.status}, reported {run.report.get('exit_status')}: {run.errors}"
        return None if run.output == output else f"printed {run.output[:200]!r}"
    return judge


def ends(outcome, status, within=None):
    def judge(run):
        if run.report.get("outcome") != outcome or run.status != status:
            return f"ended as {run.report.get('outcome')} {run.status}, not {outcome} {status}: {run.errors}"
        took = run.report["run_us"] / 1e6
        return f"only after {took:.1f} s" if within is not None and took > within else None
    return judge


def traps(run):
    found = ends("trap", 134)(run)
    return found or (None if run.report["message"] else "the trap has no message")


def refused(run):
    if run.status in (0, 134, 124, 70) or run.status < 0:
        return f"ended with {run.status}: {run.errors}"
    return None if run.errors.strip() else "refused without a word"


def environment(run):
    wanted = {b"NAME=edge", b"EMPTY=", "WORDS=übung, = and spaces".encode()}
    found = set(run.output.splitlines())
    return None if wanted <= found else f"printed {run.output!r}"


def folder_read(run):
    expected = b"0123456789" + b"".join(b"%s refused\n" % verb for verb in
                                        (b"create", b"write", b"unlink", b"mkdir", b"rename"))
    if run.output != expected:
        return f"printed {run.output!r}"
    names = sorted(os.listdir(run.folder))
    return None if names == ["in.txt"] and (run.folder / "in.txt").read_bytes() == b"0123456789" else f"left {names}"


def folder_write(run):
    if run.status != 0 or run.output != b"21 bytes\nb.txt\n":
        return f"ended with {run.status}, printed {run.output!r} {run.errors}"
    written = run.folder / "sub/b.txt"
    return None if written.is_file() and written.read_bytes() == b"written by the guest\n" else "the file is not there"


def clocks(run):
    if run.status != 0:
        return f"ended with {run.status}: {run.errors}"
    said = float(run.output)
    return None if run.began - 1 <= said <= run.ended + 1 else f"the guest's clock says {said}, ours {run.ended}"


def random(run):
    if run.status != 0 or not re.fullmatch(rb"[0-9a-f]{512}\n", run.output):
        return f"ended with {run.status}, printed {run.output[:80]!r}"
    different = len(set(bytes.fromhex(run.output.decode())))
    if different < 100:  # Of 256 bytes, 162 differ on average, with a spread of 6.
        return f"only {different} different bytes of 256"
    return None if run.output != run.before.output else "the same twice"


def at_once(count):
    def judge(run):
        report = run.report
        if report.get("outcome") != "done" or report["failed"] != 0:
            return f"ended as {report.get('outcome')}, {report.get('failed')} failed: {run.errors}"
        return None if report["at_once"] == count else f"only {report['at_once']} at once"
    return judge


def flat(run):
    report = run.report
    if report.get("outcome") != "done" or report["failed"] != 0:
        return f"ended as {report.get('outcome')}, {report.get('failed')} failed: {run.errors}"
    grown = report["resident_end_kib"] - report["resident_start_kib"]
    return None if grown < RESIDENT_SPREAD_KIB else f"grew by {grown} KiB"


def same_as_reference(run):
    return None if run.status == 0 else f"ended with {run.status}: {run.errors}"


def memory_limited(run):
    """By the limit's own name, and without more memory than allowed."""
    found = ends("memory-limit", 70)(run)
    limit = 32 * MIB
    return found or (None if run.report["peak_memory_bytes"] <= limit else "it had more")


def echo(name, size):
    block = bytes(range(256)) * 256
    body = (block * (size // len(block) + 1))[:size]
    return Case(f"stdio-{name}", "everything.c", done(body), ("echo",), stdin=body)


def command(name, guest, language):
    return Case(name, guest, exits(5, SAID.format(language).encode()), ("one", "two words"), ("--env", "NAME=edge"),
                stdin=WORDS)


def all_cases(instances):
    """`instances`: of the case that instantiates one after another."""
    return [
        command("command-c", "command.c", "C"),
        command("command-c++", "command.cc", "C++"),
        command("command-go", "command.go", "Go"),
        Case("command-rust", "rust", done(b"Status: 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nhello-edge-world\n"),
             options=("--env", "REQUEST_METHOD=POST", "--env", "CONTENT_LENGTH=18"), stdin=b"Hello, Edge World!"),
        echo("0", 0), echo("64k", 64 * KIB), echo("64m", 64 * MIB),
        Case("arguments", "everything.c", done("[one]\n[]\n[two words]\n[--x]\n[ü]\n".encode()),
             ("arguments", "one", "", "two words", "--x", "ü")),
        Case("environment", "everything.c", environment, ("environment",),
             ("--env", "NAME=edge", "--env", "EMPTY=", "--env", "WORDS=übung, = and spaces")),
        Case("folder-read-only", "everything.c", folder_read, ("folder-read",), folder="ro"),
        Case("folder-read-write", "everything.c", folder_write, ("folder-write",), folder="rw"),
        Case("clocks", "everything.c", clocks, ("clocks",)),
        Case("random", "everything.c", random, ("random",), twice=True),
        Case("exit-0", "everything.c", exits(0), ("exit", "0")),
        Case("exit-1", "everything.c", exits(1), ("exit", "1")),
        Case("exit-125", "everything.c", exits(125), ("exit", "125")),
        *(Case(f"trap-{name}", f"{name}.wat", traps) for name in TRAPS),
        Case("deadline-loop", "loop.wat", ends("deadline", 124, within=5), options=("--timeout", "300"), own_wasi=False),
        Case("deadline-sleep", "everything.c", ends("deadline", 124, within=5), ("sleep", "100"), ("--timeout", "300"),
             own_wasi=False),
        Case("memory-limit", "everything.c", memory_limited, ("allocate", "100"), ("--memory-limit", str(32 * MIB)),
             own_wasi=False),
        Case("memory-within-limit", "everything.c", done(b"allocated 4 MiB\n"), ("allocate", "4"),
             ("--memory-limit", str(32 * MIB)), own_wasi=False),
        Case("module-damaged", "damaged", refused),
        Case("code-damaged", "everything.c", refused, only_modes=("aot",), corrupt="cut", own_wasi=False),
        Case("code-foreign", "everything.c", refused, only_modes=("aot",), corrupt="foreign", own_wasi=False),
        Case("wasi-answers", "answers.c", same_as_reference, folder="rw", own_wasi=False, reference=True),
        Case("at-once-1000", "everything.c", at_once(1000), ("sleep", "5"), ("--concurrent", "1000"), own_wasi=False,
             alone=True),
        Case("instances-flat", "everything.c", flat, (), ("--repeat", str(instances)), own_wasi=False, timeout=1800),
    ]
