"""Every engine and compiler on three workloads: compile time, code size, load, instantiate, execute."""
import json
import pathlib
import shutil
import statistics
import subprocess
import time

from . import functions
from .executors import ENGINES, compile_ahead, describe, program
from .node import Unavailable

SHIM = pathlib.Path(__file__).resolve().parent.parent / "wasm2c" / "main.c"
RUNTIME = pathlib.Path("/usr/share/wabt/wasm2c")
# Workload, what it reads, invocations in one process, and how many such processes.
WORKLOADS = [("hello-c", b"", 20_000), ("matrix", b"", 20), ("thumbnail", None, 20)]
PROCESSES = 3


class Workload:
    def __init__(self, bench, name, body, repeat):
        self.name, self.repeat = name, bench.count(repeat, 2)
        self.body = (functions.CACHE / "china.jpg").read_bytes() if body is None else body
        self.file = bench.folder / f"{name}.wasm"
        flags = ("-isystem", "/usr/include/stb") if name == "thumbnail" else ()
        self.file.write_bytes(functions.build_wasm(name, bench.folder, *flags))


def run(executor, workload, *options):
    """The report of one process, and its output."""
    report = workload.file.with_suffix(".report")
    ended = subprocess.run([executor, "run", *options, "--report", report, workload.file], input=workload.body,
                           capture_output=True, check=True)
    return json.loads(report.read_text()), ended.stdout


def measure_compiler(executor, compiler, workload):
    """One row: medians of some processes; those that compile are not those that load."""
    name, modes = compiler["name"], compiler["modes"]
    code = workload.file.with_suffix(".code")
    compile_ahead(executor, name, workload.file, code)
    ahead = "aot" in modes
    loaded = ("--mode", "aot", "--code", code) if ahead else ()
    compiled = [run(executor, workload, "--compiler", name)[0] for _ in range(PROCESSES)]
    runs = [run(executor, workload, "--compiler", name, *loaded, "--repeat", str(workload.repeat))
            for _ in range(PROCESSES)]

    def median(values):
        return statistics.median(values)

    instantiate = median([report["instantiate_us_p50"] for report, _ in runs])
    return {"compile_ms": median([report["compile_us"] for report in compiled]) / 1000,
            "code_bytes": code.stat().st_size,
            "load_ms": median([report["load_us"] for report, _ in runs]) / 1000 if ahead else 0,
            "instantiate_us": instantiate,
            "execute_us": median([report["request_us_p50"] for report, _ in runs]) - instantiate,
            "output": runs[0][1].decode()}


def measure_wasm2c(bench, workload):
    """The same module as C, by GCC into a program: no engine, no jail, no interruption. The bound."""
    for tool in ("wasm2c", "gcc"):
        if shutil.which(tool) is None:
            raise Unavailable(f"{tool} is not installed")
    folder = bench.folder / f"wasm2c-{workload.name}"
    folder.mkdir()
    program, body = folder / "program", folder / "body"
    body.write_bytes(workload.body)
    began = time.monotonic()
    subprocess.run(["wasm2c", workload.file, "-n", "module", "-o", folder / "module.c"], check=True)
    subprocess.run(["gcc", "-O2", "-s", "-fno-strict-aliasing", "-I", folder, "-I", RUNTIME, SHIM, folder / "module.c",
                    RUNTIME / "wasm-rt-impl.c", "-o", program, "-lm"], check=True)
    compile_ms = (time.monotonic() - began) * 1000
    # Its runtime never gives back the address space of a memory: 8 GiB an instance.
    repeat = str(min(workload.repeat, 5_000))
    runs = [subprocess.run([program, repeat, body], capture_output=True, check=True)
            for _ in range(PROCESSES)]
    times = [[float(word) for word in run.stdout.split()] for run in runs]
    return {"compile_ms": compile_ms, "code_bytes": program.stat().st_size, "load_ms": 0,
            "instantiate_us": statistics.median(t[0] for t in times),
            "execute_us": statistics.median(t[1] for t in times), "output": runs[0].stderr.decode()}


def measure(bench):
    """All rows by workload, printed as they come. An answer that differs from the first is a failure."""
    rows = {}
    print("engines: compile time, code size, load, instantiate, execute; medians", flush=True)
    for name, body, repeat in WORKLOADS:
        workload = Workload(bench, name, body, repeat)
        rows[name] = measure_workload(bench, workload)
        fastest = min(row["execute_us"] for row in rows[name].values())
        print(f"\n{name}\n{'':22} {'compile ms':>11} {'code KB':>8} {'load ms':>8} {'inst. us':>9} {'execute us':>11} ratio")
        for engine, row in rows[name].items():
            print(f"{engine:22} {row['compile_ms']:11.1f} {row['code_bytes'] / 1000:8.0f} {row['load_ms']:8.2f} "
                  f"{row['instantiate_us']:9.1f} {row['execute_us']:11.1f} {row['execute_us'] / fastest:5.2f}", flush=True)
    return rows


def measure_workload(bench, workload):
    rows = {}
    for engine in ENGINES:
        executor = program(bench.bin, engine)
        if not executor.exists():
            continue
        for compiler in describe(executor)["compilers"]:
            rows[f"{engine} {compiler['name']}"] = measure_compiler(executor, compiler, workload)
    try:
        rows["wasm2c, gcc -O2"] = measure_wasm2c(bench, workload)
    except Unavailable as reason:
        print(f"  wasm2c: {reason}")
    answers = {row.pop("output") for row in rows.values()}
    if len(answers) != 1:
        raise RuntimeError(f"{workload.name}: the engines answer differently: {answers}")
    return rows
