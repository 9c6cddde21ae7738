#!/usr/bin/env python3
"""Measures the built programs on this machine and writes OUT/summary.json and OUT/details.json.

docs/benchmarks.md says what each metric means. Exit status: 0 when everything this machine can
measure was measured (whatever the figures), 1 when a measurement went wrong.
"""
import argparse
import os
import pathlib
import signal
import sys
import traceback

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from harness import containers, engines, machine, runtimes, scale, summary, wasm  # noqa: E402
from harness.bench import Bench  # noqa: E402
from harness.node import Failure, Unavailable  # noqa: E402
from harness.report import METRICS, Report  # noqa: E402

# In order: what needs a quiet machine first, what heats it last.
MEASUREMENTS = [
    (wasm.measure_cold, ["wasm_cold_ms_p50", "wasm_cold_ms_p99"]),
    (wasm.measure_cold_idle, ["wasm_cold_idle_ms_p50", "wasm_cold_idle_ms_p99"]),
    (wasm.measure_loaded, ["wasm_loaded_ms_p50"]),
    (containers.measure_overhead, ["container_overhead_ms_p50"]),
    (containers.measure_cold, ["container_cold_ms_p50"]),
    (containers.measure_held, ["container_held_ms_p50"]),
    (wasm.measure_restart, ["executor_restart_ms_p50"]),
    (scale.measure_deploy, ["deploy_ms_p50"]),
    (wasm.measure_saturated, ["wasm_saturated_rps"]),
    (scale.measure_idle, ["idle_function_bytes"]),
    (runtimes.measure_frozen_memory, ["frozen_100_containers_mib"]),
    (runtimes.measure, [figure[0] for figure in runtimes.FIGURES]),
]


def check_machine(report):
    description = report.machine
    cores, busy = description["cores"], description["busy_ratio_at_start"]
    if busy > 0.1:
        report.warn(f"{busy:.0%} of this machine is in use by others; the figures will read worse than they are")
    elif description["load_average_at_start"][0] > 0.5 * cores:
        report.warn(f"the load average is {description['load_average_at_start'][0]:.2f} on {cores} cores, "
                    "though the machine is idle now; caches and clocks may not have settled")
    build = description["build"]
    if build is not None and build not in ("Release", "RelWithDebInfo"):
        report.warn(f"the programs were built as '{build}', not as Release")


def measure(bench, report, measurement, names):
    print(f"{', '.join(names)} ...", flush=True)
    try:
        measurement(bench)
    except Unavailable as reason:
        report.miss(names, str(reason))
    except Failure as reason:
        report.miss(names, str(reason), failed=True)
    except Exception as error:  # One broken measurement must not cost the others.
        traceback.print_exc()
        report.miss(names, f"{type(error).__name__}: {error}", failed=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", type=pathlib.Path, required=True, help="folder of the built programs")
    parser.add_argument("--out", type=pathlib.Path, required=True, help="folder for the results")
    parser.add_argument("--quick", action="store_true", help="few samples: shows that it works, measures nothing well")
    parser.add_argument("--only", metavar="NAME,...", help="only these metrics: " + ", ".join(m.name for m in METRICS))
    parser.add_argument("--engines", action="store_true", help="with --only: the table of the engines, too")
    parser.add_argument("--patience", type=float, default=30, metavar="SECONDS",
                        help="how long to wait, before each measurement, for the machine to be quiet (default 30)")
    arguments = parser.parse_args()
    every = [metric.name for metric in METRICS]
    wanted = arguments.only.split(",") if arguments.only else every
    unknown = [name for name in wanted if name not in every]
    if unknown:
        parser.error(f"no such metric: {', '.join(unknown)}")
    bin_folder = arguments.bin.resolve()
    for program in ("hybridserve", "hybridserve-bench-client"):
        if not os.access(bin_folder / program, os.X_OK):
            sys.exit(f"bench: there is no {bin_folder / program}; build first: make build")

    report = Report(arguments.out, machine.describe(bin_folder), wanted,
                    0 if arguments.quick else arguments.patience)
    report.machine["quick"] = arguments.quick
    print(f"{report.machine['cpu']}, {report.machine['cores']} cores, kernel {report.machine['kernel']}, "
          f"commit {report.machine['commit']}")
    check_machine(report)
    with Bench(bin_folder, arguments.quick, report) as bench:
        for measurement, names in MEASUREMENTS:
            if set(names) & set(wanted):
                measure(bench, report, measurement, names)
        if not arguments.only or arguments.engines:
            summary.write(arguments.out / "engines.json", {"machine": report.machine, "workloads": engines.measure(bench)})
    report.machine["load_average_at_end"] = list(os.getloadavg())
    report.write()
    report.print_table()
    print(f"\nwritten: {arguments.out / 'summary.json'}, {arguments.out / 'details.json'}")
    sys.exit(1 if report.failures else 0)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    main()
