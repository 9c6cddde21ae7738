#!/usr/bin/env python3
"""`make conformance`: every engine, compiler and mode over the same cases, and a table of what came.

A cell is engine x compiler x mode x case, with our WASI and, where a case can, with the engine's own. A cell passes, or
docs/engines.md has a row that says why it cannot; a row whose cell passes is wrong, too. Writes OUT/conformance.json
and the counts into OUT/summary.json. Exit status 1: a cell neither passes nor is documented, or a row is wrong.
"""
import argparse
import collections
import concurrent.futures
import fnmatch
import json
import os
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path[:0] = [str(HERE), str(ROOT / "bench")]

from cases import Run, all_cases  # noqa: E402
from guests import Guests, Unbuilt  # noqa: E402
from harness import summary  # noqa: E402
from harness.executors import ENGINES, compile_ahead, describe, program  # noqa: E402

DOCUMENT = ROOT / "docs/engines.md"
REQUESTS = 20_000  # Of which a request's time is the median.


class Target:
    """An engine with one compiler, mode and WASI."""

    def __init__(self, bin_folder, engine, compiler, mode, wasi):
        self.program = program(bin_folder, engine)
        self.engine, self.compiler, self.mode, self.wasi = engine, compiler, mode, wasi

    def __str__(self):
        return f"{self.engine} {self.compiler} {self.mode}" + (" own-wasi" if self.wasi == "own" else "")


def targets_of(bin_folder, engine):
    described = describe(program(bin_folder, engine))
    for compiler in described["compilers"]:
        for mode in compiler["modes"]:
            yield Target(bin_folder, engine, compiler["name"], mode, "ours")
            if described["own_wasi"]:
                yield Target(bin_folder, engine, compiler["name"], mode, "own")


class Suite:
    def __init__(self, bin_folder, scratch):
        self.bin_folder, self.scratch = bin_folder, scratch
        self.guests = Guests(ROOT / "build/conformance", bin_folder)
        self.codes = {}
        self.code_locks = {}
        self.references = {}

    def guest(self, name):
        if name != "damaged":
            return self.guests.path(name)
        path = self.scratch / "damaged.wasm"
        path.write_bytes(b"\0asm\1\0\0\0\1\2\3\4\5\6\7")
        return path

    def prepare(self, cases):
        """Builds every guest; the answers that Wasmtime's own WASI gives. Names of cases whose guest this machine cannot build."""
        missing = {}
        for case in cases:
            try:
                self.guest(case.guest)
            except Unbuilt as reason:
                missing[case.name] = str(reason)
                continue
            if case.reference:
                target = Target(self.bin_folder, "wasmtime", "cranelift", "jit", "own")
                self.references[case.name] = self.run(case, target).output
        return missing

    def code(self, case, target):
        """The AOT file that the verb `compile` makes, as a job of the node does."""
        key = (case.guest, target.engine, target.compiler)
        with self.code_locks.setdefault(key, threading.Lock()):  # Cells run at once; each file is made once.
            if key not in self.codes:
                path = self.scratch / "-".join(key).replace(".", "-")
                compile_ahead(target.program, target.compiler, self.guest(case.guest), path)
                self.codes[key] = path
        return self.codes[key]

    def spoilt(self, case, target):
        content = self.code(case, target).read_bytes()
        path = self.scratch / f"spoilt-{target.engine}-{target.compiler}-{case.corrupt}"
        path.write_bytes(content[:len(content) // 3] if case.corrupt == "cut" else b"\x7fELF" + bytes(range(256)) * 40)
        return path

    def command(self, case, target, report, folder):
        words = [target.program, "run", "--compiler", target.compiler, "--mode", target.mode, "--wasi", target.wasi,
                 "--report", report, *case.options]
        if target.mode == "jit-cache":
            # A case's own: Wasmer writes its cache in place, and cells run at once.
            cache = self.scratch / f"cache-{target}-{case.name}"
            cache.mkdir(exist_ok=True)
            words += ["--cache", cache]
        if target.mode == "aot" and case.guest != "damaged":
            words += ["--code", self.spoilt(case, target) if case.corrupt else self.code(case, target)]
        if case.folder:
            words += ["--folder", f"{folder}:/data:{case.folder}"]
        return words + [self.guest(case.guest), *case.arguments]

    def run(self, case, target):
        with tempfile.TemporaryDirectory(dir=self.scratch) as place:
            folder = pathlib.Path(place) / "data"
            folder.mkdir()
            (folder / "in.txt").write_text("0123456789")
            (pathlib.Path(place) / "secret.txt").write_text("not the guest's\n")
            report = pathlib.Path(place) / "report"
            command = self.command(case, target, report, folder)
            began = time.time()
            ended = subprocess.run(command, input=case.stdin, capture_output=True, timeout=case.timeout)
            text = report.read_text() if report.exists() else ""
            run = Run(ended.returncode, ended.stdout, ended.stderr.decode(errors="replace").strip()[:300],
                      json.loads(text) if text else {}, folder, began, time.time())
            run.before = None
            # Judged here, while the folder is there.
            run.found = None if case.twice else case.judge(run)
            return run

    def try_cell(self, case, target):
        """None when the cell passes, else what is wrong; and the run's report."""
        try:
            if case.twice:
                first, second = self.run(case, target), self.run(case, target)
                second.before = first
                return case.judge(second), second.report
            run = self.run(case, target)
        except subprocess.TimeoutExpired:
            return f"did not end in {case.timeout} s", {}
        except Exception as error:  # pylint: disable=broad-except  # One cell must not cost the others.
            return f"{type(error).__name__}: {error}", {}
        if run.found is None and case.reference and run.output != self.references[case.name]:
            return "answers otherwise: " + difference(run.output, self.references[case.name]), run.report
        return run.found, run.report


def difference(ours, theirs):
    pairs = zip(ours.decode().splitlines(), theirs.decode().splitlines())
    return "; ".join(f"{a} (Wasmtime: {b})" for a, b in pairs if a != b)[:400] or "one says more"


def documented():
    """The rows of docs/engines.md: patterns of target and case, and why."""
    rows = []
    for line in DOCUMENT.read_text().splitlines():
        found = re.fullmatch(r"\| `([^`]+)` \| `([^`]+)` \| (.+) \|", line)
        if found:
            rows.append(found.groups())
    return rows


def row_of(rows, target, case):
    for row in rows:
        if fnmatch.fnmatchcase(str(target), row[0]) and fnmatch.fnmatchcase(case.name, row[1]):
            return row
    return None


def cells_of(targets, cases):
    for target in targets:
        for case in cases:
            if (case.own_wasi or target.wasi == "ours") and (not case.only_modes or target.mode in case.only_modes):
                yield target, case


def run_cells(suite, cells, show):
    """Each cell's finding and report. Those that need the machine run last, one by one."""
    results = {}
    beside = [cell for cell in cells if not cell[1].alone]

    def one(cell):
        results[cell] = suite.try_cell(cell[1], cell[0])
        show(cell, results[cell])

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        list(pool.map(one, beside))
    for cell in cells:
        if cell[1].alone:
            one(cell)
    return results


def measure_requests(suite, targets):
    """Median time of a request inside the executor, in ms, by engine and compiler; three processes each."""
    times = {}
    for target in targets:
        if target.wasi == "own" or target.mode not in ("aot", "interpreter"):
            continue
        case = next(case for case in all_cases(REQUESTS) if case.name == "instances-flat")
        runs = [suite.try_cell(case, target) for _ in range(3)]
        medians = [report["request_us_p50"] for found, report in runs if "request_us_p50" in report and not found]
        if medians:
            times[f"{target.engine} {target.compiler}"] = round(statistics.median(medians) / 1000, 5)
    return times


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", type=pathlib.Path, required=True, help="folder of the built programs")
    parser.add_argument("--out", type=pathlib.Path, help="folder for the results")
    parser.add_argument("--engine", action="append", help="only this one; may be repeated")
    parser.add_argument("--case", default="*", help="only the cases of this name or pattern")
    parser.add_argument("--instances", type=int, default=1_000_000, help="of the case instances-flat")
    arguments = parser.parse_args()
    bin_folder = arguments.bin.resolve()
    engines = [engine for engine in arguments.engine or ENGINES
               if os.access(program(bin_folder, engine), os.X_OK)]
    if not engines:
        print("skipped: no such engine is built here")
        return 77
    cases = [case for case in all_cases(arguments.instances) if fnmatch.fnmatchcase(case.name, arguments.case)]
    with tempfile.TemporaryDirectory(prefix="hybridserve-conformance-") as scratch:
        suite = Suite(bin_folder, pathlib.Path(scratch))
        missing = suite.prepare(cases)
        for name, reason in missing.items():
            print(f"skipped: {name}: {reason}")
        cases = [case for case in cases if case.name not in missing]
        targets = [target for engine in engines for target in targets_of(bin_folder, engine)]
        rows = documented()
        counts, wrong = collections.Counter(), []
        table = []

        def show(cell, result):
            target, case = cell
            found, row = result[0], row_of(rows, target, case)
            verdict = ("documented" if row else "FAILED") if found else ("WRONG ROW" if row else "passed")
            counts[verdict] += 1
            table.append({"target": str(target), "case": case.name, "verdict": verdict, "found": found,
                          "report": result[1]})
            if verdict in ("FAILED", "WRONG ROW"):
                wrong.append(cell)
                print(f"{verdict}: {target}: {case.name}: {found or 'passes, though docs/engines.md says it cannot'}",
                      flush=True)

        run_cells(suite, list(cells_of(targets, cases)), show)
        total = sum(counts.values())
        print(f"{total} cells: {counts['passed']} pass, {counts['documented']} cannot and are documented, {len(wrong)} wrong")
        if arguments.out:
            times = measure_requests(suite, targets)
            arguments.out.mkdir(parents=True, exist_ok=True)
            summary.write(arguments.out / "conformance.json", {"cells": table, "request_ms_p50": times})
            summary.merge(arguments.out, {"engine_cells_total": total, "engine_cells_passed": counts["passed"],
                                          "engine_cells_documented": counts["documented"],
                                          "engine_request_ms_p50": times}, {})
            for name, ms in times.items():
                print(f"  {name:24} {ms * 1000:8.1f} us a request")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
