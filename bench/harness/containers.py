"""The container side: what the gateway adds, starts from nothing and from a held sandbox."""
import os
import uuid

from . import functions, peers
from .node import Failure, Unavailable, wait_for

NAME = "static-server"
HEADERS = ["HybridServe-Backend:container"]
# A held sandbox is made again in the background within this time after the last one was used.
REFILL_MS = 150


def need_containers(node):
    if not node.info.get("containers"):
        raise Unavailable("this node runs no containers: " +
                          str(node.info.get("containers_why_not") or "they need root"))


def need_root():
    if os.geteuid() != 0:
        raise Unavailable("containers need root")


def measure_overhead(bench):
    """Pairs of requests to one warm container: through the gateway, and over a connection made inside
    its network namespace."""
    need_root()
    report = bench.report
    mark = uuid.uuid4().hex
    with bench.node() as node:
        need_containers(node)
        node.admin.deploy(functions.container_manifest(NAME, min_warm=1, environment={"BENCH_MARK": mark}),
                          image=bench.server_image)
        wait_for("the container to be ready", lambda: node.status(NAME)["containers"]["ready"] >= 1)
        pids = peers.processes_with(f"BENCH_MARK={mark}")
        if not pids:
            raise Failure("the container's process was not found by its environment")
        against = {"address": f"127.0.0.1:{functions.SERVER_PORT}", "path": "/", "netns_of": pids[0],
                   "expected": functions.SERVER_ANSWER}
        busy = report.check_quiet("container_overhead_ms_p50")
        result = bench.sample(node.address, f"/function/{NAME}", functions.SERVER_ANSWER, against=against,
                              samples=bench.count(10000, 200), warm_ups=bench.count(1000, 20),
                              expect_headers=[*HEADERS, "HybridServe-Start:warm"])
        result["busy_ratio_before"] = busy
        report.set("container_overhead_ms_p50", result["difference_first_byte_ms"]["p50"], result)
        report.set_peer("container_overhead_ms_p50", {
            "text": f"direct {result['against']['first_byte_ms']['p50']:.3f}, "
                    f"through the gateway {result['first_byte_ms']['p50']:.3f}"})


def measure_starts(bench, metric, held, settle_ms):
    """Each sample finds no container of the function; its answer says that it waited for one."""
    need_root()
    report = bench.report
    with bench.node(container={"held": held}) as node:
        need_containers(node)
        node.admin.deploy(functions.container_manifest(NAME, keep_alive="30ms"), image=bench.server_image)
        counts = f"/v1/functions/{NAME}#/status/containers"
        busy = report.check_quiet(metric)
        result = bench.sample(node.address, f"/function/{NAME}", functions.SERVER_ANSWER,
                              samples=bench.count(300, 10), warm_ups=2, node=node, settle_ms=settle_ms,
                              until=[f"{counts}/starting=0", f"{counts}/ready=0"],
                              expect_headers=[*HEADERS, "HybridServe-Start:cold"])
        result.update(busy_ratio_before=busy, held=held, settle_ms=settle_ms)
        report.set(metric, result["first_byte_ms"]["p50"], result)


def measure_cold(bench):
    measure_starts(bench, "container_cold_ms_p50", held=0, settle_ms=30)


def measure_held(bench):
    measure_starts(bench, "container_held_ms_p50", held=2, settle_ms=REFILL_MS)
