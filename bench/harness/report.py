"""The metrics: what is asked for, what was measured, and the files and the table that say so."""
import dataclasses
import json
import time

from . import machine


@dataclasses.dataclass(frozen=True)
class Metric:
    name: str
    asked: float | None   # None: for comparison only.
    higher_is_better: bool
    unit: str
    compare: str          # Published or known figures, for the table.


METRICS = [
    Metric("wasm_cold_ms_p50", 0.3, False, "ms", "published 31-34"),
    Metric("wasm_cold_ms_p99", 1.5, False, "ms", ""),
    Metric("wasm_cold_idle_ms_p50", None, False, "ms", "the same on a node that was idle"),
    Metric("wasm_cold_idle_ms_p99", None, False, "ms", ""),
    Metric("wasm_loaded_ms_p50", 0.15, False, "ms", "workerd .152, wasmtime serve .180"),
    Metric("wasm_saturated_rps", 25000, True, "1/s", "workerd 21,900, wasmtime serve 9,000"),
    Metric("container_overhead_ms_p50", 0.10, False, "ms", ""),
    Metric("container_cold_ms_p50", 10, False, "ms", "published 260-270"),
    Metric("container_held_ms_p50", 3, False, "ms", ""),
    Metric("native_cold_ms_p50", 3, False, "ms", "runc alone 26"),
    Metric("native_held_ms_p50", 2, False, "ms", ""),
    Metric("native_frozen_ms_p50", 0.4, False, "ms", ""),
    Metric("native_cpu_ms_per_container", None, False, "ms", "Docker 138-235"),
    Metric("oci_crun_cold_ms_p50", None, False, "ms", ""),
    Metric("oci_runc_cold_ms_p50", None, False, "ms", ""),
    Metric("containerd_cold_ms_p50", None, False, "ms", ""),
    Metric("docker_cold_ms_p50", None, False, "ms", "half of docker run asked for"),
    Metric("docker_held_ms_p50", None, False, "ms", ""),
    Metric("docker_run_ms_p50", None, False, "ms", "233"),
    Metric("frozen_100_containers_mib", 100, False, "MiB", ""),
    Metric("executor_restart_ms_p50", 100, False, "ms", ""),
    Metric("idle_function_bytes", 20000, False, "bytes", ""),
    Metric("deploy_ms_p50", 300, False, "ms", ""),
]
BY_NAME = {metric.name: metric for metric in METRICS}

# Other work on the machine above this share of it makes latencies untrustworthy.
QUIET_RATIO = 0.05


class Report:
    """Collects figures; the last word on a metric counts. Writes after every measurement, so that an
    interrupted run leaves what it had."""

    def __init__(self, out, description, wanted, patience_seconds):
        self.out, self.machine, self.wanted = out, description, wanted
        self.patience_seconds = patience_seconds
        self.metrics = {metric.name: None for metric in METRICS}
        self.unavailable = {metric.name: "not measured in this run" for metric in METRICS}
        self.details = {}
        self.peers = {}
        self.failures = {}
        self.disturbed = {}  # Metric to the share of the machine that others used just before it.
        self.warnings = []

    def warn(self, text):
        self.warnings.append(text)
        print(f"WARNING: {text}", flush=True)

    def set(self, name, value, details=None):
        if name not in self.wanted:
            return
        self.metrics[name] = value
        self.unavailable.pop(name, None)
        if details is not None:
            self.details[name] = details
        print(f"  {name:<28} {format_value(BY_NAME[name], value)} {BY_NAME[name].unit}", flush=True)
        self.write()

    def set_peer(self, name, details):
        self.peers[name] = details

    def miss(self, names, reason, failed=False):
        """These metrics have no figure: the machine lacks something, or (failed) it went wrong."""
        for name in names:
            if name in self.wanted:
                self.metrics[name] = None
                self.unavailable[name] = reason
                if failed:
                    self.failures[name] = reason
        print(f"  {', '.join(names)}: {'FAILED' if failed else 'not available'}: {reason}", flush=True)
        self.write()

    def check_quiet(self, what):
        """Waits a while for the machine to be quiet; the share in use just before metric `what`."""
        deadline = time.monotonic() + self.patience_seconds
        ratio = machine.busy_ratio(0.5)
        while ratio > QUIET_RATIO and time.monotonic() < deadline:
            ratio = machine.busy_ratio(0.5)
        if ratio > QUIET_RATIO:
            self.disturbed[what] = ratio
            print(f"  WARNING: {ratio:.0%} of the machine is in use by others", flush=True)
        return ratio

    def write(self):
        self.out.mkdir(parents=True, exist_ok=True)
        summary = {"machine": self.machine, **self.others_figures()}
        summary["metrics"].update(self.metrics)
        summary["unavailable"].update(self.unavailable)
        details = {"machine": self.machine, "warnings": self.warnings,
                   "busy_ratio_before": self.disturbed, "metrics": self.details, "peers": self.peers}
        for name, content in (("summary.json", summary), ("details.json", details)):
            temporary = self.out / f".{name}"
            temporary.write_text(json.dumps(content, indent=1) + "\n")
            temporary.rename(self.out / name)

    def others_figures(self):
        """What other programs have put into the summary (`make walls`)."""
        path = self.out / "summary.json"
        before = json.loads(path.read_text()) if path.exists() else {}
        return {key: {name: value for name, value in before.get(key, {}).items() if name not in BY_NAME}
                for key in ("metrics", "unavailable")}

    def print_table(self):
        print(f"\n{'metric':<28} {'asked for':>12} {'measured':>12} {'':<6} {'':<5} for comparison")
        for metric in METRICS:
            value = self.metrics[metric.name]
            asked = "-" if metric.asked is None else ("≥ " if metric.higher_is_better else "≤ ") + \
                format_value(metric, metric.asked)
            here = self.peers.get(metric.name, {}).get("text", "")
            compare = "; ".join(text for text in (here, metric.compare) if text)
            measured = "-" if value is None else format_value(metric, value)
            print(f"{metric.name:<28} {asked:>12} {measured:>12} {metric.unit:<6} "
                  f"{verdict(metric, value):<5} {compare}")
        for name, reason in self.unavailable.items():
            print(f"  {name}: {reason}")
        for warning in self.warnings:
            print(f"  WARNING: {warning}")
        if self.disturbed:
            print("  WARNING: others used the machine (share of all cores) just before: " +
                  ", ".join(f"{what} {ratio:.0%}" for what, ratio in self.disturbed.items()))


def verdict(metric, value):
    if value is None or metric.asked is None:
        return ""
    met = value >= metric.asked if metric.higher_is_better else value <= metric.asked
    return "ok" if met else "MISS"


def format_value(metric, value):
    if value is None:
        return "-"
    return f"{value:,.0f}" if metric.unit in ("1/s", "bytes") else f"{value:.3f}"
