"""Exhaustion: each attack on one node's resources, while a well-behaved function in Wasm and one in a container are
asked steadily. Held: the attack met a bound (the figure says which), none of the neighbours' requests failed, and
their 99th percentile stayed within five times what it was just before."""
import concurrent.futures
import contextlib
import json
import multiprocessing
import os
import pathlib
import resource
import socket
import statistics
import threading
import time

from neighbour import Neighbour
from node import Skip, UnixConnection, deploy, need_root, node, wait_for, wat
import slow_module

RATE = 100  # Requests a second to each of the two neighbours, open loop.
WINDOW_S, WINDOWS = 1.5, 3
MAX_RATIO = 5.0
ADDRESS_SPACE = 5000  # Connections that one attacker opens at most.
EVIL = '\n[limits]\nrun_timeout = "4s"\nbody = "16MiB"\n'
CONFIG = {
    "node": {"log_level": "warn"},
    "gateway": {"header_timeout": "3s", "body_timeout": "1s"},
    "wasm": {"compile_timeout": "4s"},
}


class Arena:
    """The node, the two neighbours, and the ways to attack."""

    def __init__(self, own):
        self.own = own
        self.neighbours = {}
        self.revision = 0

    def renew(self):
        """A container of the attacker's that no earlier attack has used up."""
        self.revision += 1
        manifest = f'description = "{self.revision}"' + EVIL + "[scale]\nslots = 16\n"
        deploy(self.own, "evil-container", container=True, wasm=False, command=["evil"], manifest=manifest)
        wait_for("the attacker's container", lambda: self.own.get("/function/evil-container/").status == 200)

    def settle(self):
        """Nothing of the last attack is left: guests ended, queues empty."""
        def quiet():
            status = [self.own.status(name) for name in ("evil-wasm", "evil-container")]
            return all(s["wasm_running"] == 0 and s["queued"] == 0 for s in status)
        wait_for("the attack's guests to end", quiet, 30)

    def p99(self):
        """The median over windows of each neighbour's 99th percentile in ms, and what failed since they were last
        asked."""
        found = {name: [] for name in self.neighbours}
        failures = self.failures()
        for _ in range(WINDOWS):
            time.sleep(WINDOW_S)
            for name, (latencies, failed) in self.take().items():
                failures += [f"{name}: {text}" for text in failed]
                found[name].append(sorted(latencies)[int(len(latencies) * 0.99)] if latencies else 1000 * WINDOW_S)
        return {name: statistics.median(values) for name, values in found.items()}, failures

    def failures(self):
        return [f"{name}: {text}" for name, (_, failed) in self.take().items() for text in failed]

    def take(self):
        for client in self.neighbours.values():
            client.ask()
        return {name: client.take() for name, client in self.neighbours.items()}

    @contextlib.contextmanager
    def asking(self, name, path, count=1, body=None):
        """`count` clients that ask an attacker's function; what they were answered is in the list."""
        answers = []

        def ask():
            with contextlib.suppress(OSError, ValueError):
                answers.append(self.own.get(f"/function/{name}{path}", "POST" if body else "GET", body=body))
        threads = [threading.Thread(target=ask, daemon=True) for _ in range(count)]
        for thread in threads:
            thread.start()
        yield answers
        for thread in threads:
            thread.join(30)

    @contextlib.contextmanager
    def attacker(self, attack, *arguments):
        """A process that attacks until it is stopped; its counts by name."""
        manager_end, own_end = multiprocessing.Pipe()
        process = multiprocessing.Process(target=_attack, args=(attack, own_end, self.own.host, self.own.port,
                                                                *arguments), daemon=True)
        process.start()
        counts = {}
        try:
            assert manager_end.poll(30), "the attacker is not ready"
            manager_end.recv()
            yield counts
            manager_end.send("stop")
            assert manager_end.poll(30), "the attacker does not stop"
            counts.update(manager_end.recv())
        finally:
            process.join(1)
            process.kill()
            process.join()

    def container(self):
        """What the kernel counts of the attacker's container: folders of its cgroup by controller."""
        for pid in self.own.processes("/function evil"):
            groups = {}
            for line in pathlib.Path(f"/proc/{pid}/cgroup").read_text().splitlines():
                _, controllers, path = line.split(":", 2)
                for controller in controllers.split(",") if controllers else ["unified"]:
                    root = pathlib.Path("/sys/fs/cgroup")
                    groups[controller] = root / controller / path[1:] if controllers else root / path[1:]
            if any("sandbox" in str(path) for path in groups.values()):
                return groups
        raise AssertionError("the attacker's container cannot be found")

    def processes(self, groups):
        """How many the attacker's container has; `groups` is what container() said before the attack."""
        return int((groups.get("pids", groups.get("unified")) / "pids.current").read_text())

    def rss(self, word):
        pages = sum(int(pathlib.Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in self.own.processes(word))
        return pages * os.sysconf("SC_PAGE_SIZE") >> 20


# ---- attackers: processes of their own; ready() is called when the attack stands, stopped() says when to end.

def _attack(attack, pipe, host, port, *arguments):
    os.nice(10)  # It stands for machines elsewhere.
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    counts = attack((host, port), lambda: pipe.send("ready"), pipe.poll, *arguments)
    pipe.send(counts)


def _connect(address, count):
    connections = []
    for _ in range(count):
        with contextlib.suppress(OSError):
            connections.append(socket.create_connection(address, 10))
            connections[-1].setblocking(False)
    return connections


def _statuses(connections, counts):
    """Counts the answers and the closings that came; what is left open is returned."""
    left = []
    for connection in connections:
        try:
            answer = connection.recv(4096, socket.MSG_DONTWAIT)
            word = answer[9:12].decode() if answer else "closed"
            counts[word] = counts.get(word, 0) + 1
            connection.close()
        except BlockingIOError:
            left.append(connection)
        except OSError:
            counts["reset"] = counts.get("reset", 0) + 1
            connection.close()
    return left


def slow_heads(address, ready, stopped, count):
    connections = _connect(address, count)
    counts = {"opened": len(connections)}
    for connection in connections:
        connection.sendall(b"GET /function/good-wasm/ HTTP/1.1\r\n")
    ready()
    while not stopped():
        for connection in connections:
            with contextlib.suppress(OSError):
                connection.send(b"X", socket.MSG_DONTWAIT)
        time.sleep(0.5)
        connections = _statuses(connections, counts)
    return counts


def silent(address, ready, stopped, count):
    connections = _connect(address, count)
    ready()
    counts = {"opened": len(connections)}
    while not stopped():
        time.sleep(0.1)
    counts["still open"] = len(_statuses(connections, counts))
    return counts


def header_flood(address, ready, stopped):
    start = b"GET /function/good-wasm/ HTTP/1.1\r\nHost: x\r\n"
    many = start + b"".join(b"X-%d: y\r\n" % i for i in range(2000)) + b"\r\n"
    huge = start + b"X: " + b"y" * 200000 + b"\r\n\r\n"
    counts = {}
    ready()
    while not stopped():
        connections = _connect(address, 20)
        for i, connection in enumerate(connections):
            with contextlib.suppress(OSError):
                connection.sendall(huge if i % 2 else many)
        for connection in connections:
            with contextlib.suppress(OSError):
                connection.settimeout(5)
                word = connection.recv(4096)[9:12].decode()
                counts[word] = counts.get(word, 0) + 1
            connection.close()
    return counts


def endless_bodies(address, ready, stopped, path, count, piece, pause_s):
    """Chunked bodies without an end: a small piece now and then, or as fast as they are taken."""
    connections = _connect(address, count)
    counts = {"opened": len(connections)}
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    chunk = b"%x\r\n" % piece + b"b" * piece + b"\r\n"
    for connection in connections:
        connection.sendall(head)
    unsent = {connection: b"" for connection in connections}
    ready()
    while not stopped():
        for connection in connections:
            with contextlib.suppress(OSError):
                rest = unsent[connection] or chunk
                unsent[connection] = rest[connection.send(rest, socket.MSG_DONTWAIT):]
        time.sleep(pause_s)
        connections = _statuses(connections, counts)
    counts["still open"] = len(connections)
    return counts


# ---- attacks: start, yield while the neighbours are measured, return what bounded it (or fail).

def fork_bomb(arena):
    groups = arena.container()
    with arena.asking("evil-container", "/forkbomb"):
        now = wait_for("the fork bomb to fill its limit", lambda: max(0, arena.processes(groups) - 99), 10) + 99
        yield
    assert now <= 128, f"{now} processes"
    return f"{now} of 128 processes (limits.pids)"


def memory_bomb_container(arena):
    with arena.asking("evil-container", "/grow", 4) as answers:
        yield
    assert answers and all(a.status in (502, 503, 504) for a in answers), answers
    return f"limits.memory 128 MiB: {answers[0].status} {answers[0].error[:60]!r}"


def memory_bomb_wasm(arena):
    with arena.asking("evil-wasm", "/grow", 16) as answers:
        yield
    sizes = [int(a.body) if a.status == 200 else 0 for a in answers]
    assert sizes and max(sizes) <= 128 << 20, answers
    return f"limits.memory: {max(sizes) >> 20} of 128 MiB a guest"


def disk_filler(arena):
    with arena.asking("evil-container", "/fill?path=/tmp/fill") as answers:
        yield
    assert answers and answers[0].status == 200, answers
    size, why = answers[0].body.decode().strip().split(" ", 1)
    assert int(size) <= 64 << 20, answers
    return f"limits.disk: {int(size) >> 20} of 64 MiB, then {why!r}"


def container_log_flood(arena):
    before = arena.rss("hybridserve-server")
    with arena.asking("evil-container", f"/flood?fd=1&n={1 << 30}"):
        yield
        logged = sum(len(line) for line in arena.own.cli("logs", "evil-container").stdout.splitlines())
        grown = arena.rss("hybridserve-server") - before
        assert logged <= 256 << 10, logged
        assert grown <= 64, f"the server grew by {grown} MiB"
    return f"{logged >> 10} KiB kept, server +{max(0, grown)} MiB"


def wasm_output_flood(arena):
    with arena.asking("evil-wasm", f"/bytes?n={1 << 30}", 16) as answers:
        yield
    assert answers and all(a.status == 502 and "limits.response" in a.error for a in answers), answers
    return "502, limits.response 16 MiB"


def wasm_log_flood(arena):
    with arena.asking("evil-wasm", f"/flood?fd=2&n={1 << 30}", 4) as answers:
        yield
        logged = sum(len(line) for line in arena.own.cli("logs", "evil-wasm").stdout.splitlines())
        assert logged <= 256 << 10, logged
    return f"{logged >> 10} KiB kept of {len(answers)} GiB"


def header_floods(arena):
    with arena.attacker(header_flood) as counts:
        yield
    assert set(counts) <= {"431", "400"} and counts.get("431"), counts
    return f"431 to all of {sum(counts.values())} (32 KiB, 256 headers)"


def slow_loris(arena):
    with arena.attacker(slow_heads, ADDRESS_SPACE) as counts:
        yield
    assert counts["opened"] == ADDRESS_SPACE and counts.get("408", 0) > ADDRESS_SPACE * 0.9, counts
    return f"{counts['408']} of {counts['opened']} got 408 (gateway.header_timeout)"


def silent_connections(arena):
    with arena.attacker(silent, 2000) as counts:
        yield
    assert counts["opened"] == 2000, counts
    return f"{counts['opened']} held, of 10,000 (gateway.max_connections, idle_timeout)"


def endless_body_wasm(arena):
    with arena.attacker(endless_bodies, "/function/evil-wasm/count", 200, 1, 0.2) as slow:
        with arena.attacker(endless_bodies, "/function/evil-wasm/count", 20, 65536, 0.01) as fast:
            yield
    assert slow.get("408") == 200 and fast.get("413") == 20, (slow, fast)
    return f"{slow['408']} slow ones 408 (gateway.min_rate), {fast['413']} fast ones 413 (limits.body)"


@contextlib.contextmanager
def uploads(arena, path, count):
    """Bodies that never end, to the attacker's container; what became of them is in `counts`, and by how many MiB
    the server grew is its "grown"."""
    before = arena.rss("hybridserve-server")
    with arena.attacker(endless_bodies, f"/function/evil-container{path}", count, 65536, 0.01) as counts:
        yield counts
        grown = arena.rss("hybridserve-server") - before
    counts["grown"] = grown


def endless_body_container(arena):
    with uploads(arena, "/count", 16) as counts:
        yield
    cut = sum(counts.get(word, 0) for word in ("408", "413", "429", "504"))
    assert cut == counts["opened"] and counts["grown"] <= 64, counts
    return f"{cut} of {counts['opened']} cut (limits.body), server +{max(0, counts['grown'])} MiB"


def guest_never_reads(arena):
    with uploads(arena, "/sleep?ms=60000", 20) as counts:
        yield
        running = arena.own.status("evil-container")["containers"]
    assert counts["grown"] <= 64, f"the server grew by {counts['grown']} MiB"
    return (f"server +{max(0, counts['grown'])} MiB for {counts['opened']} uploads, "
            f"{running['busy_slots']} in the container")


def spinning_guests(arena):
    with arena.asking("evil-wasm", "/spin", 64) as answers:
        running = wait_for("guests to spin", lambda: arena.own.status("evil-wasm")["wasm_running"])
        yield
        running = max(running, arena.own.status("evil-wasm")["wasm_running"])
        assert running < 32, f"one function holds all {running} slots"
    assert answers and all(a.status in (504, 429) for a in answers), answers
    return f"{running} of 32 slots; 504 after limits.run_timeout"


def spinning_container(arena):
    with arena.asking("evil-container", "/spin", 16) as answers:
        yield
    assert answers and all(a.status in (504, 429) for a in answers), answers
    return "16 threads spin; share of the CPU bounded, 504 after limits.run_timeout"


def deploy_module(own, name, module):
    """Uploads and deploys over a connection of its own; the answer's status and text."""
    connection = UnixConnection(own.state / "server" / "admin.sock", 120)
    try:
        connection.request("PUT", "/v1/blobs", module, {"Content-Type": "application/octet-stream"})
        digest = json.loads(connection.getresponse().read())["digest"]
        body = json.dumps({"manifest": {"name": name, "wasm": {"module": "m.wasm"}}, "module": digest})
        connection.request("POST", "/v1/functions", body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    except OSError as error:
        return 0, str(error)
    finally:
        connection.close()


def deploys_at_once(arena, count=200):
    base = wat('(module (memory (export "memory") 1) (func (export "_start")))')

    def deploy_one(i):
        # A custom section makes each a module of its own.
        name = f"many-{i}".encode()
        return deploy_module(arena.own, f"many-{i}", base + bytes([0, len(name) + 1, len(name)]) + name)
    started = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(count) as pool:
        pending = [pool.submit(deploy_one, i) for i in range(count)]
        yield
        answers = [one.result() for one in pending]
    took = time.monotonic() - started
    bad = [answer for answer in answers if answer[0] != 200]
    assert not bad, bad[:3]
    assert len(arena.own.functions()) >= count
    return f"all {count} deployed in {took:.0f} s, two compiles at a time"


def compile_bombs(arena, count=4):
    def bomb(i):
        return deploy_module(arena.own, f"bomb-{i}", slow_module.make(20000, 1000, i))
    with concurrent.futures.ThreadPoolExecutor(count) as pool:
        pending = [pool.submit(bomb, i) for i in range(count)]
        yield
        refused = [one.result()[1] for one in pending]
    assert all("compiling the module" in text for text in refused), refused
    message = json.loads(refused[0].strip().splitlines()[-1])["error"]["message"]
    return f"{count} refused: {message[:70]!r}"


ATTACKS = {
    "a fork bomb in a container": fork_bomb,
    "a memory bomb in a container": memory_bomb_container,
    "16 memory bombs in Wasm": memory_bomb_wasm,
    "a container that fills its disk": disk_filler,
    "1 GiB of stdout from a container": container_log_flood,
    "16 answers of 1 GiB from Wasm": wasm_output_flood,
    "4 times 1 GiB of stderr from Wasm": wasm_log_flood,
    "heads of 2,000 headers and of 200 KB": header_floods,
    "5,000 slow-loris connections": slow_loris,
    "2,000 connections that send nothing": silent_connections,
    "bodies that never end, to Wasm": endless_body_wasm,
    "bodies that never end, to a container": endless_body_container,
    "a container that never reads its bodies": guest_never_reads,
    "64 spinning requests of one Wasm function": spinning_guests,
    "16 spinning threads in a container": spinning_container,
    "200 functions deployed at once": deploys_at_once,
    "4 compile bombs at once": compile_bombs,
}


def try_attack(arena, table, tried, attack):
    arena.renew()
    arena.settle()
    quiet, failed_before = arena.p99()
    assert not failed_before, f"requests failed before the attack: {failed_before[:3]}"
    running = attack(arena)
    bound, held = "", True
    next(running)
    loaded, failures = arena.p99()
    try:
        next(running)
    except StopIteration as ended:
        bound = ended.value
    except AssertionError as broken:
        bound, held = f"NOT BOUNDED: {broken}"[:200], False
    worst = max(quiet, key=lambda name: loaded[name] / quiet[name])
    ratio = loaded[worst] / quiet[worst]
    failures += arena.failures()
    if failures:
        bound += f"; {len(failures)} failed: {failures[0][:120]}"
    table.row("exhaustion", tried, held and not failures and ratio <= MAX_RATIO,
              f"p99 {quiet[worst]:.1f} -> {loaded[worst]:.1f} ms (x{ratio:.1f}); {bound}")
    return ratio


def run(table):
    need_root()
    chosen = os.environ.get("EXHAUSTION", "")
    with node(CONFIG) as own:
        if not own.info["containers"]:
            raise Skip("this machine runs no containers")
        container = dict(container=True, wasm=False)
        deploy(own, "good-wasm")
        deploy(own, "good-container", manifest="\n[scale]\nmin_warm = 1\nslots = 8", **container)
        deploy(own, "evil-wasm", manifest=EVIL)
        arena = Arena(own)
        arena.renew()
        for name in ("good-wasm", "good-container"):
            wait_for(f"{name} to answer", lambda n=name: own.get(f"/function/{n}/").status == 200)
            arena.neighbours[name] = Neighbour(own, name, "hello\n", RATE)
        ratios = []
        try:
            for tried, attack in ATTACKS.items():
                if not chosen or attack.__name__ in chosen.split(","):
                    ratios.append(try_attack(arena, table, tried, attack))
        finally:
            for client in arena.neighbours.values():
                client.close()
        table.set("neighbour_p99_ratio", max(ratios))
