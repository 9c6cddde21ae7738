#!/usr/bin/env python3
"""`make functions-test`: each function in all its builds, as a table, and its figures in OUT/summary.json.

Size of module or image, cold start (the node's own `start`: a function of which nothing is in memory), execution time
(the node's own `run`, warm, the builds in turn), whether all builds answer equally, and the ratio of the execution times
of Wasm and of the container on Debian. docs/functions.md says how to read it.
"""
import argparse
import math
import os
import pathlib
import re
import statistics
import sys

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "e2e"), str(HERE.parent.parent / "bench")]

FUNCTIONBENCH = ["float_operation", "matmul", "linpack", "pyaes", "chameleon", "jinja", "json_dumps_loads",
                 "gzip_compression", "image_processing", "video_processing", "sequential_disk_io", "random_disk_io", "dd",
                 "model_serving", "feature_generation", "network"]
EXAMPLES = ["hello", "examples/c", "examples/rust", "examples/go"]
ROUNDS, COLD_STARTS = 15, 5


def timing(answer, part):
    return float(re.search(rf"{part};dur=([\d.]+)", answer.headers["Server-Timing"])[1])


def measure_warm(function, request):
    """Median and spread of each build's execution time in ms; the builds take turns."""
    times = {build: [] for build in function.builds()}
    for number in range(ROUNDS + 2):
        for build in function.builds():
            answer = function.ask(build, request)
            assert answer.status == 200, f"{function.name} {build}: {answer}"
            if number >= 2:  # The first two warm up.
                times[build].append(timing(answer, "run"))
    return {build: sorted(values) for build, values in times.items()}


def measure_cold(function, request):
    from node import wait_for

    def unloaded():
        statuses = [function.own.status(name) for name in set(function.names.values())]
        return not any(s["wasm_loaded"] or s["containers"]["ready"] or s["containers"]["starting"] for s in statuses)

    starts = {build: [] for build in function.builds()}
    for _ in range(COLD_STARTS):
        for build in function.builds():
            wait_for(f"{function.name} to be scaled to zero", unloaded, 30)
            answer = function.ask(build, request)
            assert answer.start == "cold", f"{function.name} {build}: {answer}"
            starts[build].append(timing(answer, "start"))
    return {build: statistics.median(values) for build, values in starts.items()}


def measure(name):
    from builds import deployed
    from equal import differences
    from inputs import requests_of
    with deployed(name) as function:
        found, asked = differences(function)
        request = requests_of(name, function.origin)[0]
        warm = measure_warm(function, request)
        sizes = {build: function.products[build].stat().st_size for build in function.builds()}
    with deployed(name, keep_alive="50ms") as function:
        cold = measure_cold(function, requests_of(name, function.origin)[0])
    rows = {build: {"bytes": sizes[build], "cold_ms": cold[build], "run_ms": statistics.median(times),
                    "run_ms_min": times[0], "run_ms_max": times[-1]} for build, times in warm.items()}
    native = rows.get("debian") or rows.get("scratch")
    return {"request": request.label, "asked": asked, "differences": found, "builds": rows,
            "ratio": rows["wasm"]["run_ms"] / native["run_ms"]}


def print_function(name, result):
    equal = f"{result['asked']} equal" if not result["differences"] else f"{len(result['differences'])} DIFFER"
    for place, (build, row) in enumerate(result["builds"].items()):
        print(f"{name if place == 0 else '':<20} {build:<8} {row['bytes'] / 1e6:>9.3f} {row['cold_ms']:>9.3f} "
              f"{row['run_ms']:>10.3f} {row['run_ms_min']:>9.3f} - {row['run_ms_max']:<9.3f} "
              + (f"{equal:<10} {result['ratio']:>6.2f}" if place == 0 else ""), flush=True)
    for difference in result["differences"][:3]:
        print("    " + difference[:300])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", type=pathlib.Path, required=True, help="folder of the built programs")
    parser.add_argument("--out", type=pathlib.Path, required=True, help="folder for the results")
    parser.add_argument("--only", metavar="NAME,...", help="only these functions; no figures of the suite then")
    arguments = parser.parse_args()
    os.environ["HYBRIDSERVE_BIN"] = str(arguments.bin.resolve())
    from harness import summary
    from node import Skip
    wanted = arguments.only.split(",") if arguments.only else FUNCTIONBENCH + EXAMPLES
    print(f"{'function':<20} {'build':<8} {'size MB':>9} {'cold ms':>9} {'run ms':>10} {'min':>9} - {'max':<9} "
          f"{'answers':<10} {'wasm/native':>6}")
    results, skipped = {}, {}
    for name in wanted:
        try:
            results[name] = measure(name)
            print_function(name, results[name])
        except Skip as reason:
            skipped[name] = str(reason)
            print(f"{name:<20} skipped: {reason}", flush=True)
    suite = {name: results[name] for name in FUNCTIONBENCH if name in results}
    equal = [name for name, result in suite.items() if not result["differences"]]
    if not arguments.only:
        ratios = {name: result["ratio"] for name, result in suite.items()}
        missing = "; ".join(f"{name}: {reason}" for name, reason in skipped.items() if name in FUNCTIONBENCH)
        metrics = {"functionbench_workloads": len(equal), "functionbench_wasm_native_ratio_geomean": None}
        if not missing:
            metrics["functionbench_wasm_native_ratio_geomean"] = geomean(ratios.values())
        summary.merge(arguments.out, metrics, {"functionbench_wasm_native_ratio_geomean": missing} if missing else {})
        summary.write(arguments.out / "functions.json", {"functions": results, "skipped": skipped, "ratios": ratios})
        for metric, value in metrics.items():
            print(f"{metric}: {value if value is not None else 'not measured: ' + missing}")
    sys.exit(0 if all(not result["differences"] for result in results.values()) else 1)


def geomean(values):
    values = list(values)
    return math.exp(sum(map(math.log, values)) / len(values))


if __name__ == "__main__":
    main()
