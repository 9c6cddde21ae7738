"""Many functions: what an idle one costs in memory, and how long a deployment takes."""
import concurrent.futures
import http.client
import os
import pathlib
import re
import statistics
import time

from . import functions
from .node import Admin, Failure, Unavailable, command_of, descendants, wait_for

DEPLOYING_THREADS = 4


def resident_bytes(pid):
    """The proportional set size of a process: pages shared between processes count once in a sum."""
    try:
        text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
    except PermissionError as error:
        raise Unavailable(f"the memory of {command_of(pid)} cannot be read as this user") from error
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return int(re.search(r"^Pss:\s*(\d+) kB", text, re.M).group(1)) * 1024


def memory_of(node):
    """Resident bytes of each process of the node, by program; no guest is running."""
    found = {}
    for pid in [node.process.pid, *descendants(node.process.pid)]:
        program = os.path.basename(command_of(pid).split(" ")[0]) or f"pid {pid}"
        found[program] = found.get(program, 0) + resident_bytes(pid)
    return found


def settled_memory(node):
    """Memory once it has stopped changing: jobs have ended, freed memory has gone back."""
    last = memory_of(node)
    for _ in range(20):
        time.sleep(0.5)
        now = memory_of(node)
        if abs(sum(now.values()) - sum(last.values())) < 64 << 10:
            return now
        last = now
    return last


def invoke(node, name, connection):
    connection.request("GET", f"/function/{name}")
    answer = connection.getresponse()
    content = answer.read()
    if answer.status != 200 or content != functions.HELLO_ANSWER:
        raise Failure(f"{name} answered {answer.status}: {content[:200]!r}")


def gateway_connection(node):
    host, port = node.address.rsplit(":", 1)
    return http.client.HTTPConnection(host, int(port), timeout=60)


def deploy_many(node, module, count):
    def deploy_share(share):
        admin = Admin(node.admin_path)
        try:
            for i in range(share, count, DEPLOYING_THREADS):
                admin.deploy(functions.wasm_manifest(f"idle-{i}", keep_alive="1s"), functions.distinct(module, i + 1))
        finally:
            admin.close()

    with concurrent.futures.ThreadPoolExecutor(DEPLOYING_THREADS) as pool:
        list(pool.map(deploy_share, range(DEPLOYING_THREADS)))


def measure_idle(bench):
    """What the thousandth part of a thousand deployed functions adds to all our processes' memory."""
    report, count = bench.report, bench.count(1000, 20)
    with bench.node() as node:
        connection = gateway_connection(node)
        # One function deployed and used: what any node has that serves at all.
        node.admin.deploy(functions.wasm_manifest("first", keep_alive="1s"), functions.distinct(bench.hello, 0))
        for _ in range(10):
            invoke(node, "first", connection)
        wait_for("the first function to be scaled to zero", lambda: not node.status("first")["wasm_loaded"])
        before = settled_memory(node)
        started = time.monotonic()
        deploy_many(node, bench.hello, count)
        deploy_seconds = time.monotonic() - started
        deployed = settled_memory(node)
        for i in range(count):
            invoke(node, f"idle-{i}", connection)
        wait_for("the last function to be scaled to zero", lambda: not node.status(f"idle-{count - 1}")["wasm_loaded"])
        used = settled_memory(node)
        connection.close()

    def per_function(after):
        return (sum(after.values()) - sum(before.values())) / count

    report.set("idle_function_bytes", round(per_function(deployed)), {
        "functions": count, "bytes_with_one_function": before, "bytes_deployed": deployed,
        "bytes_invoked_then_scaled_to_zero": used,
        "per_function_deployed": per_function(deployed),
        "per_function_invoked_then_scaled_to_zero": per_function(used),
        "whole_node_divided_by_functions": sum(deployed.values()) / count,
        "deploy_seconds": deploy_seconds, "deploying_threads": DEPLOYING_THREADS})


def measure_deploy(bench):
    """A module of 100 KB with another digest each time: uploaded, compiled, live; then asked."""
    report = bench.report
    module = bench.thumbnail
    times, uploads = [], []
    with bench.node() as node:
        connection = gateway_connection(node)
        busy = report.check_quiet("deploy_ms_p50")
        for i in range(bench.count(30, 3) + 2):
            manifest, fresh = functions.wasm_manifest("thumbnail"), functions.distinct(module, i)
            started = time.perf_counter()
            digest = node.admin.upload(fresh)
            uploaded = time.perf_counter()
            node.admin.deploy(manifest, digest)
            done = time.perf_counter()
            connection.request("POST", "/function/thumbnail", body=functions.THUMBNAIL_IMAGE)
            answer = connection.getresponse()
            content = answer.read()
            if answer.status != 200 or content != functions.THUMBNAIL_ANSWER:
                raise Failure(f"deployment {i} answered {answer.status}: {content[:200]!r}")
            if i >= 2:  # The first two warm up.
                times.append((done - started) * 1000)
                uploads.append((uploaded - started) * 1000)
        connection.close()
    times_sorted = sorted(times)
    report.set("deploy_ms_p50", statistics.median(times), {
        "samples": len(times), "min": times_sorted[0], "max": times_sorted[-1],
        "p90": times_sorted[int(len(times) * 0.9)], "upload_ms_p50": statistics.median(uploads),
        "module_bytes": len(functions.distinct(module, 1)), "busy_ratio_before": busy})
