"""Kills every kind of process of a loaded node, in random order, and counts what that cost.

After each kill the node answers again; every acknowledged deploy is there; every request got one answer or one clear
error; nothing is left that nobody owns. Seeded: the order of the kinds is the same in every run.
"""
import collections
import contextlib
import http.client
import json
import os
import pathlib
import random
import select
import signal
import socket
import statistics
import subprocess
import sys
import time

import leftovers
from churn import Churn
from node import BIN, Node, Skip, command_of, deploy, descendants, fixture, wait_for

SEED = int(os.environ.get("HYBRIDSERVE_WALLS_SEED", "4"))
KILLS = 1000
PAUSE_SECONDS = 0.2  # At most, before a kill: it meets the load at a random moment.
BATCH = 100  # Kills between two counts of what is left.
# Of 100 kills; the rest of a smaller number goes to the first kinds.
SHARES = {"server": 24, "executor": 22, "container": 18, "init": 14, "init's child": 12, "launcher": 10}
# What is asked to see that the node has recovered.
ANSWERS = {"container": "box", "init": "stdio", "init's child": "stdio"}
# The functions whose answers a kind of process makes.
SERVED_BY = {"executor": {"wasm", "both"}, "container": {"box", "both"}, "init": {"stdio"}, "init's child": {"stdio"}}
BACK_MS = {"server": 200}
HERE = pathlib.Path(__file__).resolve().parent


def free_port():
    """Below the range from which the system takes ports for clients: a client must never meet itself there."""
    for port in random.sample(range(20000, 32000), 50):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with contextlib.suppress(OSError):
                probe.bind(("127.0.0.1", port))
                return port
    raise Skip("no free port below 32000")


class Load:
    """The clients, in a process of their own."""

    def __init__(self, own, functions):
        command = [sys.executable, HERE.parent / "clients.py", own.host, str(own.port), str(SEED), *functions]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def end(self):
        """What the clients counted."""
        out, _ = self.process.communicate(timeout=60)
        return json.loads(out)

    def close(self):
        self.process.kill()
        self.process.communicate()


class Victims:
    """The processes of a node by their kind. All of them descend from the node's own launcher."""

    def __init__(self, own):
        self.own = own

    def of(self, kind):
        launcher = self.own.process.pid
        if kind == "launcher":
            return [launcher]
        # By the start of their command: a sandbox that waits for its program still has the launcher's own.
        beginning = {"server": f"{BIN}/hybridserve-server ", "executor": "hybridserve-executor-wasmtime serve ",
                     "container": "/function "}.get(kind, "/hybridserve-init ")
        found = [pid for pid in leftovers.children(launcher) if command_of(pid).startswith(beginning)]
        return [child for pid in found for child in leftovers.children(pid)] if kind == "init's child" else found


class Killing:
    """One node, its load, and what was counted."""

    def __init__(self, own, churn):
        self.own, self.churn = own, churn
        self.victims = Victims(own)
        self.random = random.Random(f"kills/{SEED}")
        self.back = collections.defaultdict(list)  # Milliseconds from a kill to the next right answer, by kind.
        self.windows = []  # (kind, killed, answered again) of every kill.
        self.lost, self.left = [], []

    def order(self, count):
        kinds = [kind for kind, share in SHARES.items() for _ in range(share * count // 100)]
        kinds += list(SHARES)[:count - len(kinds)] if count - len(kinds) <= len(SHARES) else []
        self.random.shuffle(kinds)
        return kinds

    def choose(self, kind):
        pids = wait_for(f"a process to kill: {kind}", lambda: self.victims.of(kind), 20)
        return self.random.choice(pids)

    def kill(self, kind):
        for _ in range(100):
            victim = self.choose(kind)
            # The descriptor names the process even if its number is used again.
            with contextlib.suppress(ProcessLookupError):
                fd = os.pidfd_open(victim)
                try:
                    if victim not in self.victims.of(kind):
                        continue
                    killed = time.monotonic()
                    signal.pidfd_send_signal(fd, signal.SIGKILL)
                    select.select([fd], [], [], 10)
                finally:
                    os.close(fd)
                return killed
        raise AssertionError(f"every {kind} ended before it could be killed")

    def one(self, kind):
        killed = self.kill(kind)
        if kind == "launcher":
            self.own.process.wait()
            self.own.log.close()
            self.own.start(wait=False)
        answered = wait_for(f"an answer after {kind} was killed", lambda: self.answer(ANSWERS.get(kind, "wasm")), 30)
        self.back[kind].append((answered - killed) * 1000)
        self.windows.append((kind, killed, answered))
        if kind == "launcher":
            self.left += leftovers.until_empty(self.orphans)
        self.lost += self.churn.lost()

    def answer(self, function):
        """The time of a right answer over a connection of its own, or None."""
        with contextlib.suppress(OSError, http.client.HTTPException):
            if self.own.get(f"/function/{function}/").body == b"hello\n":
                return time.monotonic()
        return None

    def orphans(self):
        return leftovers.orphans({self.own.process.pid, *self.others})

    def run(self, count, others):
        self.others = others
        for number, kind in enumerate(self.order(count), 1):
            time.sleep(self.random.uniform(0, PAUSE_SECONDS))
            try:
                self.one(kind)
            except AssertionError as error:
                raise AssertionError(f"kill {number} ({kind}, seed {SEED}): {error}") from None
            if number % BATCH == 0 or number == count:
                self.churn.pause()
                self.lost += self.churn.lost()
                self.left += leftovers.until_empty(self.unowned, 10)
                self.churn.go_on()

    def unowned(self):
        """What a running node has and does not need, with no deploy under way."""
        own = self.own
        launcher = own.process.pid
        found = self.orphans() + leftovers.empty_cgroups(own.state) + leftovers.files(own.state)
        found += leftovers.mounts(own.folder, [launcher, *descendants(launcher)])
        servers, executors = self.victims.of("server"), self.victims.of("executor")
        if len(servers) != 1 or len(executors) != 1:
            found.append(f"servers {servers}, executors {executors}")
        containers = sum(own.containers(name) for name in own.functions())
        sandboxes = set(leftovers.children(launcher)) - set(servers) - set(executors)
        if len(sandboxes) > containers + 1:  # One is held for the next container.
            found.append(f"{len(sandboxes)} sandboxes for {containers} containers: "
                         f"{[command_of(pid) for pid in sandboxes]}")
        held = leftovers.held_namespaces(launcher)
        if len(held) > len(sandboxes):
            found.append(f"{len(held)} network namespaces for {len(sandboxes)} sandboxes")
        return found


def judge(events, windows):
    """Splits what clients saw into clear errors, connections that a kill could not but end, and the lost.

    A connection ends without any answer only with its server; in the midst of one, also when the process from which
    the answer came was killed during the request."""
    sorted_out = collections.defaultdict(list)
    for event in events:
        excused = any(ended_by(event, *window) for window in windows)
        what = "lost" if event["what"] in ("gone", "cut") and not excused else event["what"]
        sorted_out[what].append(event)
    return sorted_out


def ended_by(event, kind, killed, back):
    if kind in ("server", "launcher"):
        return event["since"] <= back and event["end"] >= killed
    return (event["what"] == "cut" and event["function"] in SERVED_BY[kind]
            and event["start"] <= killed <= event["end"])


def start():
    config = {"gateway": {"listen": f"127.0.0.1:{free_port()}"},
              "policy": {"default": "paper"}, "container": {"boots": 2}}
    own = Node(config)
    if not own.info["containers"]:
        own.close()
        raise Skip("no containers here: " + own.info["containers_why_not"])
    return own


def prepare(own):
    limits = '\n[limits]\nrun_timeout = "5s"'
    deploy(own, "wasm", manifest=limits)
    deploy(own, "both", container=True, manifest=limits)
    deploy(own, "box", wasm=False, container=True, manifest=limits)
    deploy(own, "stdio", wasm=False, container="stdio", manifest=limits)
    return ["wasm", "both", "box", "stdio"]


def kill_under_load(table, count):
    own = start()
    load = churn = None
    try:
        functions = prepare(own)
        load = Load(own, functions)
        churn = Churn(own, SEED)
        churn.start()
        killing = Killing(own, churn)
        killing.run(count, {load.process.pid})
        churn.end()
        events = load.end()
        killing.left += drain(table, own, functions)
        report(table, killing, events)
    except BaseException:
        print("--- the node's log:\n" + own.output()[-8000:])
        raise
    finally:
        if churn:
            churn.ending.set()
        if load:
            load.close()
        own.close()


def report(table, killing, events):
    for kind, times in killing.back.items():
        bound = BACK_MS.get(kind)
        median, worst = statistics.median(times), max(times)
        table.row("kills", f"{len(times)} times SIGKILL of {kind}" + (f", back within {bound} ms" if bound else ""),
                  bound is None or worst <= bound, f"p50 {median:.0f} ms, max {worst:.0f} ms to the next right answer")
    outcome = judge(events["events"], killing.windows)
    churn = killing.churn
    for what, found in (("request", outcome["lost"]), ("deploy", killing.lost + churn.wrong), ("left", killing.left)):
        for one in found[:10]:
            print(f"  {what}: {one}")
            if what == "request":
                print("    kills near it: ", [(kind, f"{killed:.3f}", f"{back:.3f}") for kind, killed, back
                                              in killing.windows if abs(killed - one["end"]) < 0.5])
    table.row("kills", "each request got one answer or one clear error", not outcome["lost"],
              f"{events['answered']} answered, {len(outcome['error'])} clear errors, {len(outcome['gone'])} refused or "
              f"ended, {len(outcome['cut'])} cut by a kill, {len(outcome['lost'])} lost")
    table.row("kills", "acknowledged deploys and removals are there, whole",
              not killing.lost + churn.wrong and churn.acknowledged > 0,
              f"{churn.acknowledged} acknowledged, {churn.refused} refused, {churn.cut} cut and whole or not there")
    table.row("kills", "no orphan process, mount, cgroup, namespace or file", not killing.left,
              f"{len(killing.left)} left")
    table.add("faults_injected", sum(map(len, killing.back.values())))
    table.add("requests_lost", len(outcome["lost"]))
    table.add("acknowledged_lost", len(killing.lost) + len(churn.wrong))
    table.add("orphans_left", len(killing.left))


def drain(table, own, functions):
    """SIGTERM under load: what is in flight is answered, nothing after that, and nothing is left."""
    load = Load(own, functions)
    wait_for("the load to run", lambda: own.status("wasm")["wasm_running"] > 0)
    terminated = time.monotonic()
    own.terminate()
    status = own.process.wait(60)
    ended = time.monotonic()
    events = load.end()
    # Only a request that was sent before the signal was in flight.
    events["events"] = [{**event, "since": event["start"]} for event in events["events"]]
    outcome = judge(events["events"], [("launcher", terminated, float("inf"))])
    ended_early = outcome["gone"] + outcome["cut"]
    broken = outcome["lost"] + [event for event in ended_early
                                if event["sent"] is not None and event["sent"] < terminated]
    left = leftovers.until_empty(lambda: leftovers.orphans(set()) + leftovers.mounts(own.folder)
                                 + leftovers.files(own.state) + list(map(str, leftovers.cgroups(own.state))))
    for one in broken[:10] + left[:10]:
        print(f"  drain: {one}")
    table.row("kills", "SIGTERM under load: what is in flight is answered", status == 0 and not broken and not left,
              f"exit {status} after {(ended - terminated) * 1000:.0f} ms, {events['answered']} answered, "
              f"{len(outcome['error'])} clear errors, {len(broken)} lost, {len(left)} left")
    table.add("faults_injected", 1)
    table.add("requests_lost", len(broken))
    return left


def run(table, count=KILLS):
    if os.geteuid() != 0:
        raise Skip("needs root: containers cannot be started by an ordinary user")
    fixture("wasm")
    with leftovers.adopting_orphans():
        kill_under_load(table, count)
