"""Three times what the node can do, for a minute: goodput, how soon the surplus is turned away, memory."""
import contextlib
import json
import os
import pathlib
import re
import subprocess
import tempfile
import time

from node import BIN, Skip, deploy, descendants, need_root, node, wait_for

# A few milliseconds of work: what bounds the node is the guests, not the way to them or this client.
PATH = "/work?loops=3000000"
ANSWER = b"worked\n"
PEAK_SECONDS, SECONDS, TIMES = 8, 60, 3
MANIFEST = '[limits]\nqueue = 64\n[scale]\nslots = 4\nmax_containers = 1\nkeep_alive = "1h"\n'
# Kept by what is asked: throughput, milliseconds to a rejection (p99), growth of memory.
GOODPUT, REJECTED_MS, GROWTH = 0.9, 50, 0.05


def load(own, expected, path, **options):
    """Runs the client's load and returns its JSON."""
    command = [BIN / "hybridserve-bench-client", "--connect", f"{own.host}:{own.port}", "--path", path,
               "--expect", expected]
    for name, value in options.items():
        command += ["--" + name.replace("_", "-"), str(value)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def outcome(process):
    text, _ = process.communicate(timeout=200)
    assert process.returncode == 0, f"the client ended with {process.returncode}"
    return json.loads(text)


def memory_bytes(own):
    """What the node's processes and its guests hold, shared pages counted once."""
    total = 0
    for pid in [own.process.pid, *descendants(own.process.pid)]:
        try:
            text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
        except OSError:  # It ended, or is another user's.
            continue
        total += sum(int(kib) for kib in re.findall(r"^Pss:\s+(\d+) kB", text, re.M)) << 10
    return total


class Cores:
    """The share of the machine's cores that was there for the node: what it used, and what was idle. The rest went to
    the client, which would be elsewhere, to other programs, or to other machines of the host."""

    def __init__(self, own):
        self.own = own
        self.before = self._read()

    def _read(self):
        values = [int(word) for word in pathlib.Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
        used = 0
        for pid in [self.own.process.pid, *descendants(self.own.process.pid)]:
            with contextlib.suppress(OSError):
                fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
                used += int(fields[11]) + int(fields[12])
        return sum(values), values[3] + values[4] + used

    def share(self):
        total, ours = (after - before for after, before in zip(self._read(), self.before))
        return min(ours / total, 1)


def connections(own):
    found = re.search(r"^hybridserve_connections (\d+)", own.metrics(), re.M)
    return int(found.group(1))


def measure(own, name, expected):
    """The peak, the overload, and what is left of it."""
    path = f"/function/{name}{PATH}"
    cores = Cores(own)
    peak = outcome(load(own, expected, path, seconds=PEAK_SECONDS, connections=8))
    assert peak["fates"]["ok"]["count"] == peak["requests"], peak["fates"]
    peak["share"] = cores.share()
    cores = Cores(own)
    client = load(own, expected, path, seconds=SECONDS, rate=TIMES * peak["ok_per_second"], connections=2000,
                  timeout_ms=20000, seed=1)
    time.sleep(10)
    early = memory_bytes(own)
    time.sleep(SECONDS - 11)
    late = memory_bytes(own)
    result = outcome(client)
    result["share"] = cores.share()
    started = time.monotonic()
    after = own.get(path)
    assert after.status == 200, after
    result["after_ms"] = (time.monotonic() - started) * 1000
    wait_for("the queue to be empty", lambda: own.status(name)["queued"] == 0, 5)
    wait_for("the client's connections to be gone", lambda: connections(own) == 0, 5)
    return peak, result, late / early - 1


def report(table, kind, peak, result, growth):
    """The rows of one kind of function; its goodput ratio."""
    fates = result["fates"]
    plain = result["ok_per_second"] / peak["ok_per_second"]
    ratio = plain * peak["share"] / result["share"]
    rejected, count = fates["rejected"].get("latency_ms", {"p50": 0, "p99": 0, "max": 0}), fates["rejected"]["count"]
    table.row("overload", f"{kind}: {TIMES} times its capacity for {SECONDS} s", ratio >= GOODPUT,
              f"{result['ok_per_second']:.0f} of {peak['ok_per_second']:.0f} requests/s, the node having "
              f"{result['share']:.2f} and {peak['share']:.2f} of the cores; ratio {ratio:.3f} (plain {plain:.3f})")
    table.row("overload", f"{kind}: the surplus gets 429 or 503, at once", count > 0 and rejected["p99"] <= REJECTED_MS,
              f"{count} with Retry-After, p50 {rejected['p50']:.1f} p99 {rejected['p99']:.1f} "
              f"max {rejected['max']:.1f} ms")
    others = {fate: of["count"] for fate, of in fates.items() if fate not in ("ok", "rejected") and of["count"]}
    table.row("overload", f"{kind}: every request gets one of the two answers", not others,
              f"{result['requests']} requests, others: {others or 'none'}; the next after it took "
              f"{result['after_ms']:.0f} ms")
    table.row("overload", f"{kind}: memory stays flat", growth <= GROWTH, f"{growth * 100:+.1f} % in 49 s")
    return ratio


def run(table):
    ratios = []
    with tempfile.TemporaryDirectory() as folder, node() as own:
        expected = pathlib.Path(folder) / "expected"
        expected.write_bytes(ANSWER)
        deploy(own, "wasm", wasm=True, manifest='policy = "wasm-only"\n' + MANIFEST)
        ratios.append(report(table, "Wasm", *measure(own, "wasm", expected)))
        try:
            need_root()
        except Skip as reason:
            table.row("overload", "container", None, str(reason))
        else:
            deploy(own, "container", wasm=False, container=True, manifest='policy = "container-only"\n' + MANIFEST)
            assert own.get("/function/container" + PATH).status == 200
            ratios.append(report(table, "container", *measure(own, "container", expected)))
    table.set("overload_goodput_ratio", min(ratios))
