"""Faults of what a node keeps and stands on: its disk, registry, native code, clock, descriptors, power.

Under each a client asks steadily: every request has one answer or one clear error.
"""
import contextlib
import json
import os
import pathlib
import random
import shutil
import signal
import sqlite3
import subprocess
import tempfile
import threading
import time

import node as e2e
import power_cut
from node import Node, Skip, node, wait_for, wat, write_function
from programs import server_behind

WASM_ONLY = {"policy": {"default": "wasm-only"}}
FAKETIME = pathlib.Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1")
SERVER_UID = 64100


def answering(text):
    """A module that answers `text`."""
    out = f"Content-Type: text/plain\r\n\r\n{text}".encode()
    data = "".join(f"\\{byte:02x}" for byte in out)
    return wat(f"""(module
      (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
      (memory (export "memory") 1) (data (i32.const 64) "{data}")
      (func (export "_start")
        (i32.store (i32.const 0) (i32.const 64)) (i32.store (i32.const 4) (i32.const {len(out)}))
        (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))""")


class Load:
    """One client that asks `names` in turn. A request is answered, told an error (a status of 500 and up with a
    sentence), or lost: neither."""

    def __init__(self, own, names):
        self.own, self.names = own, names
        self.answered, self.told, self.lost = 0, 0, []
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self._run)

    def __enter__(self):
        self.thread.start()
        return self

    def count(self):
        return self.answered + self.told + len(self.lost)

    def __exit__(self, kind, *_):
        enough = self.count() + 20  # After the fault, too.
        try:
            if kind is None:
                wait_for("20 more requests", lambda: self.count() >= enough, 60)
        finally:
            self.stop.set()
            self.thread.join()

    def _run(self):
        turn = 0
        while not self.stop.wait(0.01):
            name, turn = self.names[turn % len(self.names)], turn + 1
            try:
                answer = self.own.get(f"/function/{name}/")
                if answer.status == 200:
                    self.answered += 1
                elif answer.status >= 429 and answer.error:
                    self.told += 1
                else:
                    self.lost.append(repr(answer))
            except Exception as error:  # Whatever it was: the client has no answer.
                self.lost.append(f"{type(error).__name__}: {error}")

    def __str__(self):
        return f"{self.answered} answered, {self.told} errors, {len(self.lost)} lost"


class Faults:
    """Counts what was injected, and what the nodes must still have."""

    def __init__(self, table):
        self.table = table

    def held(self, tried, figure, faults=1, loads=(), missing=()):
        lost = [text for load in loads for text in load.lost]
        self.table.add("faults_injected", faults)
        self.table.add("requests_lost", len(lost))
        self.table.add("acknowledged_lost", len(missing))
        loaded = "".join(f"; {load}" for load in loads)
        self.table.row("faults", tried, not lost and not missing,
                       f"{figure}{loaded}{''.join(f'; LOST {text}' for text in [*lost, *missing][:3])}")


def deploy(own, name, text):
    own.cli("deploy", write_function(own, name, wasm=answering(text)))


def missing_of(own, deployed):
    """What of `deployed`, name → answer, is not served as it was acknowledged."""
    return [f"{name}: {answer!r}" for name, text in deployed.items()
            if (answer := own.get(f"/function/{name}/")).body != text.encode()]


def stop(own):
    own.terminate()
    assert own.process.wait(60) == 0, own.output()
    own.log.close()


def refused_start(own):
    """Starts the node, which must end by itself: its status, and what it said."""
    before = len(own.output())
    began = time.monotonic()
    own.start(wait=False)
    status = own.process.wait(60)
    own.log.close()
    return status, own.output()[before:], time.monotonic() - began


def server_of(own):
    """The server's pid. Its path stands in the command lines of the launcher's other children, too."""
    def is_server(pid):
        with contextlib.suppress(OSError):
            return os.readlink(f"/proc/{pid}/exe").endswith(("/hybridserve-server", "/server-itself"))
        return False
    found = [pid for pid in e2e.descendants(own.process.pid) if is_server(pid)]
    assert len(found) == 1, found
    return found[0]


def flip(path, at):
    data = bytearray(path.read_bytes())
    data[at % len(data)] ^= 0x40
    path.write_bytes(bytes(data))


# The registry ------------------------------------------------------------------------------------

def locked_registry(faults, own, deployed):
    path = own.state / "server" / "registry.db"
    with Load(own, list(deployed)) as load:
        tool = sqlite3.connect(path, timeout=0.1, isolation_level=None)
        try:
            tool.execute("BEGIN EXCLUSIVE")
            raise AssertionError("a tool locked the registry of a running node")
        except sqlite3.OperationalError:
            pass
        tool.close()
        deploy(own, "while-locked", "while-locked")
        deployed["while-locked"] = "while-locked"
    faults.held("a tool locks the registry of a running node", "the tool is refused", loads=[load],
                missing=missing_of(own, deployed))
    stop(own)
    tool = sqlite3.connect(path, isolation_level=None)
    tool.execute("BEGIN EXCLUSIVE")
    status, said, seconds = refused_start(own)
    tool.rollback()
    tool.close()
    assert status == 5 and "locked by another process" in said, (status, said)
    own.start()
    faults.held("the registry is locked at a start", f"refused after {seconds:.1f} s",
                missing=missing_of(own, deployed))


def damages(path, whole, chance):
    """(what, do it): each on a stopped node's whole registry."""
    def bits(start, end):
        return lambda: flip(path, chance.randrange(start, end))
    return [("header", bits(0, 16)),
            ("its page 1", lambda: path.write_bytes(whole[:100] + b"\x5a" * 400 + whole[500:])),
            ("a later page", lambda: path.write_bytes(whole[:8192] + b"\x5a" * 4096 + whole[12288:])),
            ("cut in half", lambda: os.truncate(path, len(whole) // 2)), ("emptied", lambda: os.truncate(path, 0)),
            ("removed", path.unlink)]


def damaged_registry(faults, own, deployed):
    path = own.state / "server" / "registry.db"
    for index in range(len(damages(path, b"", random.Random(1)))):
        stop(own)
        what, damage = damages(path, path.read_bytes(), random.Random(index))[index]
        damage()
        status, said, _ = refused_start(own)
        assert status == 10 and "hybridserve registry restore" in said, (what, status, said)
        own.cli("registry", "restore")
        own.start()
        faults.held(f"registry damaged: {what}", "refused, restored by the command it names",
                    missing=missing_of(own, deployed))


def damaged_log(faults, own, deployed):
    """The write-ahead log of a node that was killed loses its end."""
    deploy(own, "in-the-log", "in-the-log")
    deployed["in-the-log"] = "in-the-log"
    server = server_of(own)
    os.kill(server, signal.SIGKILL)
    own.process.kill()
    own.process.wait()
    wait_for("the server to be gone", lambda: not os.path.exists(f"/proc/{server}"))
    own.log.close()
    log = own.state / "server" / "registry.db-wal"
    data = log.read_bytes()
    log.write_bytes(data[:-6000] + random.Random(7).randbytes(6000))
    status, said, _ = refused_start(own)
    assert status == 10 and "hybridserve registry restore" in said, (status, said)
    own.cli("registry", "restore")
    own.start()
    faults.held("garbage at the end of the log after kill -9", "refused, restored by the command it names",
                missing=missing_of(own, deployed))


def registry(faults):
    deployed = {f"function-{i}": f"text {i}" for i in range(8)}
    with node(WASM_ONLY) as own:
        for name, text in deployed.items():
            deploy(own, name, text)
        locked_registry(faults, own, deployed)
        damaged_registry(faults, own, deployed)
        damaged_log(faults, own, deployed)


# Native code -------------------------------------------------------------------------------------

def native_code(faults):
    deployed = {"one": "one", "two": "two"}
    with node(WASM_ONLY) as own:
        for name, text in deployed.items():
            deploy(own, name, text)
        aot = own.state / "server" / "aot"
        with Load(own, list(deployed)) as load:
            for file in aot.iterdir():
                file.unlink()
            deploy(own, "three", "three")
            deployed["three"] = "three"
            missing = missing_of(own, deployed)
        faults.held("native code deleted while the node runs", "answers go on", loads=[load], missing=missing)
        stop(own)
        shutil.rmtree(aot)
        own.start()
        faults.held("native code deleted while the node is stopped", "compiled anew",
                    missing=missing_of(own, deployed))
        chance, flips = random.Random(3), 0
        for _ in range(3):
            wait_for("all native code", lambda: len(list(aot.glob("*.mac"))) == len(deployed))
            stop(own)
            files = [f for f in aot.iterdir() if f.suffix in (".native", ".mac")]
            for file in files:
                flip(file, chance.randrange(file.stat().st_size))
            flips += len(files)
            before = len(own.output())
            own.start()
            assert not missing_of(own, deployed)
            said = own.output()[before:]
            assert said.count("does not match its MAC") >= len(deployed), said
        faults.held("a bit flipped in every file of native code", "each named, compiled anew", flips,
                    missing=missing_of(own, deployed))


# The clock ---------------------------------------------------------------------------------------

def clock(faults):
    if not FAKETIME.exists():
        faults.table.row("faults", "the clock set back and forward", None, f"there is no {FAKETIME}")
        return
    with tempfile.TemporaryDirectory(prefix="hybridserve-clock.") as folder:
        os.chmod(folder, 0o755)
        offset = pathlib.Path(folder) / "offset"
        offset.write_text("+0\n")
        words = (f"env LD_PRELOAD={FAKETIME} FAKETIME_TIMESTAMP_FILE={offset} FAKETIME_NO_CACHE=1 "
                 "FAKETIME_DONT_FAKE_MONOTONIC=1 DONT_FAKE_MONOTONIC=1 NO_FAKE_STAT=1")
        with server_behind(words), node(WASM_ONLY) as own:
            turn_the_clock(faults, own, offset)


def turn_the_clock(faults, own, offset):
    deployed, jumps = {"one": "one"}, ["+86400", "-86400", "+315360000", "-315360000", "+0"]
    deploy(own, "one", "one")
    kept = own.connection()
    with Load(own, ["one"]) as load:
        for number, jump in enumerate(jumps):
            offset.write_text(jump + "\n")
            for _ in range(3):
                assert own.get("/function/one/", connection=kept).status == 200
            name = f"after-{number}"
            deploy(own, name, name)
            deployed[name] = name
    years = {revision["created"][:4] for name in deployed for revision in own.describe(name)["revisions"]}
    assert len(years) >= 3, f"the server saw no other time: {years}"
    faults.held("the clock jumps by ±1 day and ±10 years", f"{len(jumps)} jumps, a kept connection lives on",
                len(jumps), [load], missing_of(own, deployed))


# Descriptors -------------------------------------------------------------------------------------

def cpu_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def open_files(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def descriptors(faults):
    """The server raises its limit as far as it may: it is started with a hard one."""
    limit, clients = 100, 200
    with server_behind(f"prlimit --nofile={limit}:{limit}"), node(WASM_ONLY) as own:
        deployed = {"one": "one"}
        deploy(own, "one", "one")
        pid = server_of(own)
        with contextlib.ExitStack() as stack:
            for _ in range(clients):
                stack.enter_context(contextlib.closing(own.connection(timeout=20)))
            wait_for("the limit to be reached", lambda: open_files(pid) >= limit - 1)
            began, used = time.monotonic(), cpu_seconds(pid)
            with Load(own, ["one"]) as at_limit:
                wait_for("three seconds at the limit", lambda: time.monotonic() - began > 3)
            seconds, used = time.monotonic() - began, cpu_seconds(pid) - used
            highest = open_files(pid)
        with Load(own, ["one"]) as after:
            wait_for("answers", lambda: after.answered > 20)
        deploy(own, "two", "two")
        deployed["two"] = "two"
        assert used < seconds / 2, f"the server used {used:.2f} s of CPU in {seconds:.1f} s at its limit"
        assert at_limit.answered > 20, at_limit
        faults.held(f"{clients} idle connections, {limit} descriptors",
                    f"{highest} open, {used:.2f} s of CPU in {seconds:.1f} s", loads=[at_limit, after],
                    missing=missing_of(own, deployed))


# The disk ----------------------------------------------------------------------------------------

@contextlib.contextmanager
def small_disk(mebibytes):
    if os.geteuid() != 0:
        raise Skip("needs root to mount a file system")
    folder = pathlib.Path(tempfile.mkdtemp(prefix="hybridserve-disk."))
    os.chmod(folder, 0o755)
    image, mounted = folder / "image", folder / "mounted"
    mounted.mkdir()
    try:
        with open(image, "wb") as file:
            file.truncate(mebibytes << 20)
        subprocess.run(["mkfs.ext4", "-q", "-m", "0", image], check=True, capture_output=True)
        done = subprocess.run(["mount", "-o", "loop", image, mounted], capture_output=True, text=True)
        if done.returncode != 0:
            raise Skip(f"no loop device can be mounted: {done.stderr.strip()}")
        yield mounted
    finally:
        subprocess.run(["umount", mounted], capture_output=True)
        shutil.rmtree(folder, ignore_errors=True)


def disk(faults):
    with small_disk(96) as mounted, tempfile.TemporaryDirectory(prefix="hybridserve-functions.") as elsewhere:
        (mounted / "node").mkdir()
        own = Node(folder=mounted / "node")
        own.sources = pathlib.Path(elsewhere)
        try:
            fill_the_disk(faults, own, mounted)
            own.stop()
        finally:
            own.close()


def fill_the_disk(faults, own, mounted):
    def source(name, **options):
        folder = own.sources / name
        return write_function(own, name, folder=folder, **options)

    deployed = {"wasm": "wasm", "box": "hello\n"}
    own.cli("deploy", source("wasm", wasm=answering("wasm")))
    own.cli("deploy", source("box", wasm=False, container=True))
    assert own.get("/function/box/").status == 200
    later = source("later", wasm=answering("later"))
    filler = mounted / "filler"
    with Load(own, list(deployed)) as load:
        with open(filler, "wb", buffering=0) as file, contextlib.suppress(OSError):
            while file.write(b"\0" * 65536):
                pass
        with open(mounted / "filler-2", "wb", buffering=0) as file, contextlib.suppress(OSError):
            while file.write(b"\0" * 512):
                pass
        refused = own.cli("deploy", later, check=False)
        missing = missing_of(own, deployed)
    assert refused.returncode != 0 and "disk is full" in refused.stderr, refused
    faults.held("the disk is full: a deploy", "refused: " + refused.stderr.strip().splitlines()[-1][-60:],
                loads=[load], missing=missing)
    filler.unlink()
    (mounted / "filler-2").unlink()
    own.cli("deploy", later)
    deployed["later"] = "later"
    stop(own)
    own.start()
    faults.held("the disk has room again, and a new start", "all is served", missing=missing_of(own, deployed))


# Power -------------------------------------------------------------------------------------------

class Operations:
    """Deploys, updates, rollbacks and removals with the times between which each took effect."""

    def __init__(self, own):
        self.own, self.done = own, []  # (name, began, acknowledged, what is served then: (revision, text) or None)

    def run(self, name, state, action):
        began = time.time()
        action()
        self.done.append((name, began, time.time(), state))

    def deploy(self, name, revision, text):
        folder = write_function(self.own, name, wasm=answering(text))
        self.run(name, (revision, text), lambda: self.own.cli("deploy", folder))

    def all(self):
        for i in range(5):
            self.deploy(f"f{i}", 1, f"f{i} one")
        for i in range(3):
            self.deploy(f"f{i}", 2, f"f{i} two")
        self.run("f0", (1, "f0 one"), lambda: self.own.cli("rollback", "f0"))
        self.run("f3", None, lambda: self.own.cli("remove", "f3"))
        self.deploy("f3", 2, "f3 again")
        self.run("f4", None, lambda: self.own.cli("remove", "f4"))
        self.deploy("f5", 1, "f5 one")

    def allowed(self, began, ended):
        """Per function the states that may be found when the power goes between these times."""
        states = {name: [None] for name, *_ in self.done}
        for name, start, acknowledged, state in self.done:
            if acknowledged < began:
                states[name] = [state]
            elif start <= ended:
                states[name].append(state)
        return states


def check_cut(folder, allowed):
    """What is wrong with the state folder that a power cut left; the function's states when nothing is."""
    done = subprocess.run([e2e.BIN / "hybridserve", "registry", "check", "--output", "json", "--state-folder", folder],
                          capture_output=True, text=True)
    report = json.loads(done.stdout) if done.stdout else {"ok": False}
    if not report["ok"]:
        return [f"{report} {done.stderr}"]
    found = {f["name"]: f["revision"] for f in report["registry"]["functions"]}
    return [f"{name}: revision {found.get(name)}, not one of {states}" for name, states in allowed.items()
            if found.get(name) not in [state and state[0] for state in states]]


def start_on(folder, allowed):
    """Starts a node on such a folder and asks every function."""
    for path in [folder, *folder.rglob("*")]:
        os.chown(path, SERVER_UID, SERVER_UID)
    own = Node(WASM_ONLY, folder=folder)
    try:
        wrong = []
        for name, states in allowed.items():
            answer = own.get(f"/function/{name}/")
            served = answer.body.decode() if answer.status == 200 else None
            if served not in [state and state[1] for state in states] or answer.status not in (200, 404):
                wrong.append(f"{name}: {answer!r}, not one of {states}")
        own.stop()
        return wrong
    finally:
        own.close()


def record(folder):
    """Runs the operations on a node whose server is traced; its calls and the operations."""
    output = pathlib.Path(folder) / "calls"
    with server_behind(power_cut.strace(output)), node(WASM_ONLY) as own:
        operations = Operations(own)
        operations.all()
        root = own.state.resolve() / "server"
    wait_for("the tracer to end", lambda: output.exists())
    return power_cut.calls(output), operations, root


def power(faults):
    if shutil.which("strace") is None:
        faults.table.row("faults", "power cut", None, "strace is not installed: make walls installs it")
        return
    with tempfile.TemporaryDirectory(prefix="hybridserve-power.") as folder:
        os.chmod(folder, 0o777)
        calls, operations, root = record(folder)
        cut_everywhere(faults, calls, operations, root)


def cut_everywhere(faults, calls, operations, root):
    disk_now, chance = power_cut.Disk(root), random.Random(11)
    syncs, cuts, starts, wrong = 0, 0, 0, []
    deadline = time.monotonic() + 110
    for number, call in enumerate(calls):
        concerned = disk_now.apply(call)
        synced = concerned and call.name in ("fsync", "fdatasync")
        if not synced and (not concerned or chance.random() > 0.08):
            continue
        syncs += synced
        allowed = operations.allowed(call.began, call.ended)
        views = [power_cut.all_written, power_cut.only_synced, power_cut.some_of_it(number)]
        for view in views if synced else views[2:]:
            with tempfile.TemporaryDirectory(prefix="hybridserve-cut.") as state:
                os.chmod(state, 0o755)
                disk_now.write_to(pathlib.Path(state) / "state" / "server", view)
                wrong += check_cut(pathlib.Path(state) / "state", allowed)
                cuts += 1
                if synced and syncs % 25 == 0 and view is not power_cut.all_written:
                    wrong += start_on(pathlib.Path(state), allowed)
                    starts += 1
        assert time.monotonic() < deadline, f"only {cuts} cuts replayed in time"
    assert syncs > 50 and starts > 3, (syncs, starts, len(calls))
    faults.held("power cut at every sync and between", f"{syncs} syncs, {cuts} disks, {starts} nodes started on one",
                cuts, missing=wrong)


def left_behind():
    """Mounts, loop devices and folders of these faults that outlived them."""
    lines = pathlib.Path("/proc/self/mounts").read_text().splitlines()
    loops = subprocess.run(["losetup", "-a"], capture_output=True, text=True).stdout.splitlines()
    here = pathlib.Path(tempfile.gettempdir())
    return ([line for line in [*lines, *loops] if "hybridserve-disk." in line] +
            [str(path) for kind in ("disk", "cut", "power", "programs", "clock")
             for path in here.glob(f"hybridserve-{kind}.*")])


def run(table):
    faults, before = Faults(table), set(left_behind())
    for part in (registry, native_code, clock, descriptors, disk, power):
        try:
            part(faults)
        except Skip as reason:
            table.row("faults", part.__name__, None, str(reason))
        except (AssertionError, OSError, subprocess.SubprocessError) as error:  # The other faults are still tried.
            table.row("faults", part.__name__, False, f"{type(error).__name__}: {error}"[:300])
    left = set(left_behind()) - before
    table.add("orphans_left", len(left))
    table.row("faults", "mounts, loop devices and folders that are left", not left, f"{len(left)} {sorted(left)[:2]}")
