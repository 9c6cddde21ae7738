"""Every container runtime behind the same data path: from nothing, from what is made ahead, from frozen; what a
container costs in CPU; what a hundred frozen ones cost in memory; `docker run` beside them."""
import contextlib
import ctypes
import os
import pathlib
import resource
import shutil
import statistics
import subprocess
import threading
import time

from . import functions, peers
from .node import Failure, Unavailable, wait_for

NAME = "static-server"
HEADERS = ["HybridServe-Backend:container"]
# What is made ahead is made again within this time after the last one was used.
AHEAD_MS = {"native": 150, "crun": 700, "runc": 700, "containerd": 800, "docker": 1000}
SAMPLES = {"native": 300, "crun": 100, "runc": 60, "containerd": 40, "docker": 30}
FROZEN = 100
CLONE_NEWNET = 0x40000000


def need(*programs):
    absent = [name for name in programs if shutil.which(name) is None]
    if os.geteuid() != 0:
        raise Unavailable("containers need root")
    if absent:
        raise Unavailable(f"not installed: {', '.join(absent)}")


@contextlib.contextmanager
def daemon(folder, command, sock):
    folder.mkdir()
    with open(folder / "log", "w") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        def answers():
            if process.poll() is not None:
                raise Failure(f"{command[0]} ended: {(folder / 'log').read_text()[-500:]}")
            with contextlib.suppress(OSError), peers.socket.socket(peers.socket.AF_UNIX) as probe:
                probe.connect(str(sock))
                return True
            return False

        wait_for(f"{command[0]} to listen", answers)
        yield process
    finally:
        process.terminate()
        process.wait(40)


@contextlib.contextmanager
def containerd(bench):
    need("containerd", "containerd-shim-runc-v2", "runc")
    folder = bench.folder / "containerd"
    sock, config = folder / "c.sock", bench.folder / "containerd.toml"
    absent = ", ".join(f'"io.containerd.{p}"' for p in ("grpc.v1.cri", "snapshotter.v1.aufs", "snapshotter.v1.btrfs",
                                                        "snapshotter.v1.devmapper", "snapshotter.v1.zfs"))
    config.write_text(f'version = 2\nroot = "{folder}/root"\nstate = "{folder}/state"\noom_score = 0\n'
                      f'disabled_plugins = [{absent}]\n[grpc]\naddress = "{sock}"\n[ttrpc]\naddress = "{folder}/t.sock"\n')
    with daemon(folder, ["containerd", "--config", config], sock):
        yield {"runtime": "containerd", "runtime_address": str(sock)}
    shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def docker_engine(bench):
    """An engine with its default bridge, in a network namespace of its own: the machine's stays as it was."""
    need("dockerd", "containerd", "runc", "iptables", "unshare")
    folder = bench.folder / "docker"
    sock = folder / "d.sock"
    bench.write("docker.json", b"{}")
    command = ["unshare", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh",
               "dockerd", "--config-file", bench.folder / "docker.json", "--host", f"unix://{sock}",
               "--data-root", folder / "data", "--exec-root", folder / "exec", "--pidfile", folder / "pid",
               "--storage-driver", "overlay2", "--cgroup-parent", "/hybridserve-bench-docker"]
    with daemon(folder, command, sock) as process:
        yield process, {"runtime": "docker", "runtime_address": str(sock)}
    shutil.rmtree(folder, ignore_errors=True)


def settings(kind):
    """The node's [container] section, for those that need no daemon."""
    need(*([] if kind == "native" else [kind]))
    return {"runtime": kind}


def machine_busy_ms():
    """What all processes and the kernel's threads have used: exact where the kernel counts it so."""
    exact = pathlib.Path("/sys/fs/cgroup/cpuacct/cpuacct.usage")
    if exact.exists():
        return int(exact.read_text()) / 1e6
    fields = [int(word) for word in pathlib.Path("/proc/stat").read_text().splitlines()[0].split()[1:]]
    return (sum(fields[:7]) - fields[3] - fields[4]) * 1000 / os.sysconf("SC_CLK_TCK")


def process_ms(pid):
    return sum(int((task / "schedstat").read_text().split()[0]) for task in pathlib.Path(f"/proc/{pid}/task").iterdir()) / 1e6


def children_ms():
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (usage.ru_utime + usage.ru_stime) * 1000


def sample(bench, kind, container, held, scale, until, start, settle_ms, samples):
    """The client's figures, and the machine's CPU a sample, less the client's and the server's: both poll."""
    with bench.node(container={**container, "held": held}) as node:
        if node.info.get("container_runtime") != kind:
            raise Unavailable(f"no containers by {kind}: {node.info.get('containers_why_not')}")
        node.admin.deploy(functions.container_manifest(NAME, scale=scale), image=bench.server_image)
        counts = f"/v1/functions/{NAME}#/status/containers"
        server = node.programs()["hybridserve-server"][0]
        before = machine_busy_ms() - process_ms(server) - children_ms()
        result = bench.sample(node.address, f"/function/{NAME}", functions.SERVER_ANSWER, samples=samples, warm_ups=2,
                              node=node, settle_ms=settle_ms, until=[f"{counts}/{one}" for one in until],
                              expect_headers=[*HEADERS, f"HybridServe-Start:{start}"])
        used = machine_busy_ms() - process_ms(server) - children_ms() - before
        return {**result["first_byte_ms"], "cpu_ms": used / (samples + 2), "samples": samples}


GONE_SOON = {"keep_alive": "30ms", "freeze_after": "0ms", "max_containers": 1, "slots": 4}


def from_nothing(bench, kind, container):
    return sample(bench, kind, container, 0, GONE_SOON, ["starting=0", "ready=0"], "cold",
                  60 if kind == "native" else 200, bench.count(SAMPLES[kind], 5))


def from_ahead(bench, kind, container):
    return sample(bench, kind, container, 2, GONE_SOON, ["starting=0", "ready=0"], "cold", AHEAD_MS[kind],
                  bench.count(SAMPLES[kind], 5))


def from_frozen(bench, kind, container, settle_ms=0):
    """Without a pause the node is at work until the sample; with one its cores have halted."""
    stays = {"keep_alive": "1h", "freeze_after": "20ms", "max_containers": 1, "slots": 4}
    return sample(bench, kind, container, 0, stays, ["frozen=1"], "warm", settle_ms, bench.count(min(300, 3 * SAMPLES[kind]), 5))


def measure_kind(bench, table, kind, container):
    rows = {}
    for what, how in (("from nothing", from_nothing), ("made ahead", from_ahead), ("frozen", from_frozen),
                      ("frozen, idle", lambda *given: from_frozen(*given, settle_ms=20))):
        bench.report.check_quiet(f"{kind} {what}")
        rows[what] = row = how(bench, kind, container)
        print(f"  {kind:<11}{what:<14}{row['min']:9.2f}{row['p50']:9.2f}{row['p99']:9.2f}{row['cpu_ms']:9.1f}", flush=True)
    table[kind] = rows


def in_network_of(pid, work):
    """Runs `work` on a thread whose sockets are made in that process's network namespace."""
    outcome = {}

    def run():
        try:
            with open(f"/proc/{pid}/ns/net") as namespace:
                if ctypes.CDLL(None, use_errno=True).setns(namespace.fileno(), CLONE_NEWNET) != 0:
                    raise Failure(f"setns: {os.strerror(ctypes.get_errno())}")
            outcome["result"] = work()
        except BaseException as error:  # Raised again where it is waited for.
            outcome["error"] = error

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if "error" in outcome:
        raise outcome["error"]
    return outcome["result"]


def measure_docker_run(bench, table, process, sock):
    """The published way, on the same engine: a bridge, a published port, the command-line client."""
    environment = {"DOCKER_HOST": f"unix://{sock}", "DOCKER_API_VERSION": "1.41"}
    os.environ.update(environment)
    try:
        # What that thread starts is in the namespace, too.
        count = bench.count(30, 2)
        before = machine_busy_ms()
        times = in_network_of(process.pid, lambda: peers.docker_run(bench.server_image, bench.image_tag,
                                                                    functions.SERVER_ANSWER, count))
        used = machine_busy_ms() - before
    finally:
        for name in environment:
            del os.environ[name]
    times.sort()
    row = {"min": times[0], "p50": statistics.median(times), "p99": times[-1], "cpu_ms": used / count, "samples": count}
    print(f"  {'docker run -p':<25}{row['min']:9.2f}{row['p50']:9.2f}{row['p99']:9.2f}{row['cpu_ms']:9.1f}", flush=True)
    table["docker run -p"] = {"from nothing": row}


def measure(bench):
    """One table: min, median, p99 in milliseconds to the first byte, and CPU milliseconds a container."""
    report, table, missing = bench.report, {}, {}
    print(f"  {'runtime':<11}{'start':<14}{'min':>9}{'p50':>9}{'p99':>9}{'CPU ms':>9}")
    for kind in ("native", "crun", "runc"):
        try:
            measure_kind(bench, table, kind, settings(kind))
        except Unavailable as reason:
            missing[kind] = str(reason)
    try:
        with containerd(bench) as container:
            measure_kind(bench, table, "containerd", container)
    except Unavailable as reason:
        missing["containerd"] = str(reason)
    try:
        with docker_engine(bench) as (process, container):
            measure_kind(bench, table, "docker", container)
            measure_docker_run(bench, table, process, container["runtime_address"])
    except Unavailable as reason:
        missing["docker"] = missing["docker run -p"] = str(reason)
    for metric, kind, what, figure in FIGURES:
        if kind in table:
            report.set(metric, table[kind][what][figure], table[kind])
        else:
            report.miss([metric], missing[kind])


FIGURES = [
    ("native_cold_ms_p50", "native", "from nothing", "p50"),
    ("native_held_ms_p50", "native", "made ahead", "p50"),
    ("native_frozen_ms_p50", "native", "frozen", "p50"),
    ("native_cpu_ms_per_container", "native", "from nothing", "cpu_ms"),
    ("oci_crun_cold_ms_p50", "crun", "from nothing", "p50"),
    ("oci_runc_cold_ms_p50", "runc", "from nothing", "p50"),
    ("containerd_cold_ms_p50", "containerd", "from nothing", "p50"),
    ("docker_cold_ms_p50", "docker", "from nothing", "p50"),
    ("docker_held_ms_p50", "docker", "made ahead", "p50"),
    ("docker_run_ms_p50", "docker run -p", "from nothing", "p50"),
]


def available_mib():
    """Once it stands still: the kernel frees what has ended in the background."""
    def now():
        return int(pathlib.Path("/proc/meminfo").read_text().split("MemAvailable:")[1].split()[0]) / 1024

    last, still = now(), 0
    for _ in range(60):
        time.sleep(0.25)
        value = now()
        still = still + 1 if abs(value - last) < 0.5 else 0
        last = value
        if still == 8:
            break
    return last


def measure_frozen_memory(bench):
    """What the machine has less of once a hundred functions' containers have answered and are frozen."""
    need()
    count = bench.count(FROZEN, 5)
    with bench.node(container={"runtime": "native", "max_containers": count + 8, "held": 0, "boots": 4}) as node:
        if not node.info.get("containers"):
            raise Unavailable(str(node.info.get("containers_why_not")))
        scale = {"keep_alive": "1h", "freeze_after": "50ms", "max_containers": 1, "slots": 4}
        image = node.admin.upload(bench.server_image)
        for i in range(count):
            manifest = functions.container_manifest(f"static-{i}", scale=scale)
            node.admin.deploy(manifest, image=image)
        before = available_mib()
        for i in range(count):
            bench.sample(node.address, f"/function/static-{i}", functions.SERVER_ANSWER, samples=1)
        wait_for("all to be frozen", lambda: f'hybridserve_containers{{state="frozen"}} {count}' in
                 node.admin.ask("GET", "/metrics")[1].decode())
        used = before - available_mib()
    bench.report.set("frozen_100_containers_mib", used, {"containers": count, "measured_by": "MemAvailable"})
