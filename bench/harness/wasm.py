"""The Wasm side: loaded, cold, and saturated."""
import contextlib
import http.client
import os
import pathlib
import signal
import statistics
import time

from . import functions, peers
from .node import Unavailable, command_of, descendants, wait_for

NAME = "hello"
HEADERS = ["HybridServe-Backend:wasm"]


@contextlib.contextmanager
def node_with_hello(bench, keep_alive="1h"):
    module = bench.hello
    with bench.node(policy={"default": "wasm-only"}) as node:
        node.admin.deploy(functions.wasm_manifest(NAME, keep_alive), module)
        yield node


def measure_loaded(bench):
    """Loaded code, a fresh instance a request, one connection; nginx takes turns where it is there."""
    report = bench.report
    with contextlib.ExitStack() as stack:
        against = None
        with contextlib.suppress(Unavailable):
            address = stack.enter_context(peers.nginx(bench.folder, functions.HELLO_ANSWER))
            against = {"address": address, "path": "/file", "expected": functions.HELLO_ANSWER}
        node = stack.enter_context(node_with_hello(bench))
        options = {"samples": bench.count(10000, 200), "warm_ups": bench.count(1000, 20),
                   "expect_headers": [*HEADERS, "HybridServe-Start:warm"]}
        busy = report.check_quiet("wasm_loaded_ms_p50")
        result = bench.sample(node.address, f"/function/{NAME}", functions.HELLO_ANSWER, **options)
        result["busy_ratio_before"] = busy
        report.set("wasm_loaded_ms_p50", result["first_byte_ms"]["p50"], result)
        if against:
            pairs = bench.sample(node.address, f"/function/{NAME}", functions.HELLO_ANSWER, against=against, **options)
            report.set_peer("wasm_loaded_ms_p50", {
                "text": f"nginx static {pairs['against']['first_byte_ms']['p50']:.3f} here", "pairs": pairs})


COLD_FUNCTIONS = 100


def measure_cold(bench):
    """Each sample finds its function scaled to zero, and its answer says that it was cold. The requests go
    to a hundred functions in turn, one after the other: the node is at work, the function is not there."""
    report = bench.report
    with bench.node(policy={"default": "wasm-only"}) as node:
        for i in range(COLD_FUNCTIONS):
            node.admin.deploy(functions.wasm_manifest(f"{NAME}-{i}", keep_alive="300ms"),
                              functions.distinct(bench.hello, i + 1))
        busy = report.check_quiet("wasm_cold_ms_p50")
        result = bench.sample(node.address, f"/function/{NAME}-{{}}", functions.HELLO_ANSWER, node=node,
                              rotate=COLD_FUNCTIONS, samples=bench.count(50, 1) * COLD_FUNCTIONS,
                              warm_ups=COLD_FUNCTIONS, expect_headers=[*HEADERS, "HybridServe-Start:cold"],
                              until=[f"/v1/functions/{NAME}-{{}}#/status/wasm_loaded=false"])
        result["busy_ratio_before"] = busy
        report.set("wasm_cold_ms_p50", result["first_byte_ms"]["p50"], result)
        report.set("wasm_cold_ms_p99", result["first_byte_ms"]["p99"],
                   "the samples of wasm_cold_ms_p50" if "wasm_cold_ms_p50" in report.wanted else result)


def measure_cold_idle(bench):
    """The same on a node that did nothing at all for the function's keep_alive of 50 ms and 10 ms more: the
    cores have halted, and what was in their caches is gone."""
    report = bench.report
    with node_with_hello(bench, keep_alive="50ms") as node:
        options = {"warm_ups": 5, "expect_headers": [*HEADERS, "HybridServe-Start:cold"], "node": node,
                   "until": [f"/v1/functions/{NAME}#/status/wasm_loaded=false"], "settle_ms": 10}
        busy = report.check_quiet("wasm_cold_idle_ms_p50")
        result = bench.sample(node.address, f"/function/{NAME}", functions.HELLO_ANSWER,
                              samples=bench.count(1000, 20), **options)
        result["busy_ratio_before"] = busy
        # The same with the native code's pages dropped from the page cache: read from disk.
        result["from_disk"] = bench.sample(node.address, f"/function/{NAME}", functions.HELLO_ANSWER,
                                           samples=bench.count(200, 5), evict=[node.state / "server" / "aot"], **options)
        report.set("wasm_cold_idle_ms_p50", result["first_byte_ms"]["p50"], result)
        report.set("wasm_cold_idle_ms_p99", result["first_byte_ms"]["p99"],
                   "the samples of wasm_cold_idle_ms_p50" if "wasm_cold_idle_ms_p50" in report.wanted else result)


def measure_restart(bench):
    """From SIGKILL to the executor until the first answer of the next one, asked for again and again."""
    report = bench.report
    times = []
    with node_with_hello(bench) as node:
        host, port = node.address.rsplit(":", 1)
        connection = http.client.HTTPConnection(host, int(port), timeout=30)

        def answers():
            connection.request("GET", f"/function/{NAME}")
            answer = connection.getresponse()
            return answer.read() == functions.HELLO_ANSWER and answer.status == 200

        busy = report.check_quiet("executor_restart_ms_p50")
        for _ in range(bench.count(30, 3)):
            # An executor that lived for less than a second counts as ill and is started again later.
            wait_for("the executor to answer", answers)
            time.sleep(1.1)
            pid = next(p for p in descendants(node.process.pid) if "executor-wasmtime" in command_of(p))
            started = time.perf_counter()
            os.kill(pid, signal.SIGKILL)
            wait_for("the executor's end", lambda: not alive(pid))
            while not answers():
                pass
            times.append((time.perf_counter() - started) * 1000)
        connection.close()
    report.set("executor_restart_ms_p50", statistics.median(times),
               {"samples": len(times), "min": min(times), "max": max(times), "busy_ratio_before": busy})


def alive(pid):
    """Whether a process runs; one that has ended and was not reaped yet does not."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def measure_saturated(bench):
    """wrk with 32 connections on the same cores; nginx in turn; then a run that compares every body."""
    peers.need_wrk()
    report = bench.report
    rounds, seconds = bench.count(5, 1), bench.count(8, 2)
    with contextlib.ExitStack() as stack:
        node = stack.enter_context(node_with_hello(bench))
        sides = {"node": node.url(NAME)}
        with contextlib.suppress(Unavailable):
            address = stack.enter_context(peers.nginx(bench.folder, functions.HELLO_ANSWER))
            sides["nginx"] = f"http://{address}/file"
        checked = peers.wrk_checked(bench, node.url(NAME), bench.count(3, 1), functions.HELLO_ANSWER)
        busy = report.check_quiet("wasm_saturated_rps")
        runs = {side: [] for side in sides}
        for _ in range(rounds):
            for side, url in sides.items():
                runs[side].append(peers.wrk(url, seconds))
    for side in runs.values():
        for run in side:
            del run["text"]
    rates = {side: [run["requests_per_second"] for run in of] for side, of in runs.items()}
    report.set("wasm_saturated_rps", statistics.median(rates["node"]),
               {"rates": rates["node"], "runs": runs["node"], "seconds_each": seconds, "connections": 32,
                "answers_compared": checked, "busy_ratio_before": busy})
    if "nginx" in rates:
        median = statistics.median(rates["nginx"])
        report.set_peer("wasm_saturated_rps", {"text": f"nginx static {median:,.0f} here", "runs": runs["nginx"]})
