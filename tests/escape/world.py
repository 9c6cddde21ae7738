"""What the payloads run among: victims on the host, a node with victims in it, and what is told of them."""
import collections
import contextlib
import json
import os
import pathlib
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "e2e"))

from node import BIN, Skip, command_of, deploy, descendants, need_root, node, wait_for, write_function

PAYLOADS = BIN.parent / "escape"
CANARY = "the canary of the escape tests"
SERVING = "hybridserve-executor-wasmtime serve"
WORDS = {"held": True, "escaped": False, "unclear": False}
ONLY_CONTAINER = {"policy": {"default": "container-only"}}

# One attempt: `held` is False also when the payload could not say what came of it.
Attempt = collections.namedtuple("Attempt", "group name held detail")


def payload(name):
    path = PAYLOADS / name
    if not path.exists():
        raise Skip(f"{name} is not built: make build")
    return path


def parse(text, group):
    """The attempts that a payload printed."""
    attempts, lines = [], 0
    for line in text.splitlines():
        name, word, detail = line.split(" ", 2)
        lines += 1
        if word == "untried":
            continue
        attempts.append(Attempt(group, name, WORDS[word], detail if word != "unclear" else f"unclear: {detail}"))
    assert lines > 150, f"the payload did not finish:\n{text}"
    return attempts


def check(group, name, held, detail):
    """An attempt that is judged from outside."""
    return Attempt(group, name, bool(held), detail)


def victim():
    """A process in a session of its own: a signal that reaches it ends it. Its pid is none that a sandbox may have too:
    nothing could be told by it."""
    while True:
        process = subprocess.Popen(["sleep", "3600"], start_new_session=True, stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL)
        if process.pid > 1000:
            return process
        process.kill()
        process.wait()


class Host:
    """Victims on the host: a file, a process, an abstract socket, a TCP port. Whoever reaches them is noticed."""

    def __init__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="hybridserve-escape."))
        os.chmod(self.folder, 0o755)
        self.file = self.folder / "canary"
        self.file.write_text(CANARY)
        self.process = victim()
        self.abstract = f"hybridserve-escape-{secrets.token_hex(8)}"
        self.unix = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.unix.bind(f"\0{self.abstract}")
        self.unix.listen()
        self.tcp = socket.create_server(("0.0.0.0", 0))

    def addresses(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe, contextlib.suppress(OSError):
            probe.connect(("192.0.2.1", 9))  # Sends nothing: asks which address would be used.
            return ["127.0.0.1", probe.getsockname()[0]]
        return ["127.0.0.1"]

    def variables(self, files=(), sockets=(), pids=(), ports=()):
        ports = [self.tcp.getsockname()[1], *ports]
        return {
            "ESCAPE_PIDS": ",".join(map(str, [self.process.pid, *pids])),
            "ESCAPE_FILES": ":".join(f"{n}={p}" for n, p in [("host_file", self.file), *files]),
            "ESCAPE_SOCKETS": ":".join(f"admin{i}={path}" for i, path in enumerate(sockets)),
            "ESCAPE_ABSTRACT": self.abstract,
            "ESCAPE_PORTS": ",".join(f"{a}={port}" for a in self.addresses() for port in ports),
        }

    def untouched(self, group):
        """What only the host can tell."""
        alive = self.process.poll() is None
        same = self.file.read_text() == CANARY and os.listdir(self.folder) == [self.file.name]
        return [check(group, "outside.host_process_lives", alive, f"status {self.process.poll()}"),
                check(group, "outside.host_file_unchanged", same, f"{os.listdir(self.folder)}")]

    def close(self):
        self.process.kill()
        self.process.wait()
        self.unix.close()
        self.tcp.close()
        shutil.rmtree(self.folder, ignore_errors=True)


@contextlib.contextmanager
def host():
    own = Host()
    try:
        yield own
    finally:
        own.close()


def body(variables):
    return "\n" + "".join(f"{name}={value}\n" for name, value in variables.items())


def about(own, victims, pids=()):
    """A node's files, socket, pids and ports, for Host.variables(); `pids` come first."""
    server = own.state / "server"
    images = own.state / "images"
    files = [("state", own.state), ("registry", server / "registry.db"), ("aot", server / "aot"),
             ("aot_key", server / "aot.key"), ("blobs", server / "blobs"), ("images", images),
             *victims]
    pids = [*pids, own.process.pid, *own.processes("hybridserve-server")]
    return {"files": files, "sockets": [server / "admin.sock"], "pids": list(map(int, pids)), "ports": [own.port]}


def try_container():
    """A container's payload beside another container, on a node with a Wasm function, too."""
    need_root()
    with host() as outside, node(ONLY_CONTAINER) as own:
        # The victim: a container whose image holds a file, and which is told a secret.
        secret = own.folder / "secret"
        secret.write_text(CANARY)
        secret.chmod(0o444)
        deploy(own, "victim", container=True, manifest=f'\n[secrets]\nTOKEN = "{secret}"')
        own.get("/function/victim/write?path=/tmp/canary")
        victims = [p for p in descendants(own.process.pid) if command_of(p).startswith("/function")]
        assert victims, "the victim runs"
        roots = list((own.state / "images").glob("*/rootfs"))
        assert roots, "the victim's image is unpacked"
        folder = write_function(own, "attacker", wasm=False, container=True)
        shutil.copy(payload("escape-payload"), folder / "function")
        subprocess.run([BIN / "hybridserve", "build", folder], check=True, capture_output=True)
        own.cli("deploy", folder)
        known = about(own, [("other_container", roots[0] / "function"), ("other_container", "/tmp/canary"),
                            ("secret", secret)], victims)
        answer = own.get("/function/attacker/", method="POST", body=body(outside.variables(**known)))
        assert answer.status == 200, answer
        attempts = parse(answer.body.decode(), "container")
        after = own.get("/function/victim/read?path=/tmp/canary")
        running = [p for p in descendants(own.process.pid) if command_of(p).startswith("/function")]
        attempts += outside.untouched("container")
        attempts.append(check("container", "outside.other_container_lives", set(victims) <= set(running),
                              "the same process"))
        attempts.append(check("container", "outside.other_containers_file", after.body == b"written", "unchanged"))
        attempts.append(check("container", "outside.node_serves", own.admin("GET", "/v1/node").status == 200, "yes"))
        return attempts


def programs_with(folder, executor):
    """A copy of the programs' folder in which the executor is another program."""
    for path in BIN.iterdir():
        if path.name.startswith("hybridserve") and not path.is_dir():  # Libraries stay where their program names them.
            target = executor if path.name == "hybridserve-executor-wasmtime" else path
            # Links would lead programs to look beside what they point to.
            try:
                os.link(target, folder / path.name)
            except OSError:
                shutil.copy2(target, folder / path.name)
    return folder


@contextlib.contextmanager
def node_with_executor(executor):
    import node as harness
    folder = pathlib.Path(tempfile.mkdtemp(prefix="hybridserve-escape-bin."))
    real = harness.BIN
    try:
        os.chmod(folder, 0o755)
        harness.BIN = programs_with(folder, executor)
        with node() as own:
            yield own
    finally:
        harness.BIN = real
        shutil.rmtree(folder)


class Caller(threading.Thread):
    """Calls the victim until it is told to stop, and keeps what was not answered as it should be."""

    def __init__(self, own):
        super().__init__()
        self.own, self.wrong, self.calls, self.stop = own, [], 0, threading.Event()
        self.start()

    def run(self):
        while not self.stop.is_set():
            answer = self.own.get("/function/victim/env")
            self.calls += 1
            if answer.status != 200 or CANARY.encode() not in answer.body:
                self.wrong.append(repr(answer))

    def end(self):
        self.stop.set()
        self.join()


def try_executor():
    """Two groups: an executor's payload on its own, and against the executor of another trust domain."""
    need_root()
    with host() as outside, node_with_executor(payload("escape-executor")) as own:
        secret = own.folder / "secret"
        secret.write_text(CANARY)
        secret.chmod(0o444)
        domain = 'domain = "{}"\n[secrets]\nTOKEN = "' + str(secret) + '"'
        before = set(wait_for("the executor of the default domain", lambda: own.processes(SERVING)))
        deploy(own, "victim", manifest=domain.format("victim"))
        assert CANARY.encode() in own.get("/function/victim/env").body
        victims = sorted(set(own.processes(SERVING)) - before)
        assert len(victims) == 1, (before, victims)
        deploy(own, "attacker", manifest='domain = "attacker"')
        caller = Caller(own)
        groups = []
        try:
            known = about(own, [("secret", secret)])
            for group, told in (("executor", known), ("domain", known | {"pids": victims, "files": [
                    ("other_container", f"/proc/{victims[0]}/root"), ("secret", f"/proc/{victims[0]}/environ")]})):
                answer = own.get("/function/attacker/", method="POST", body=body(
                    outside.variables(**told) | ({"ESCAPE_FORGE": "1"} if group == "domain" else {})))
                assert answer.status == 200, answer
                groups += parse(answer.body.decode(), group)
            wait_for("the executor that answers for others to be noticed",
                     lambda: "attacker died (it answered an invocation that is not under way)" in own.output(), 5)
        finally:
            caller.end()
        serving = own.processes(SERVING)
        after = own.get("/function/victim/env")
        groups = [a for a in groups if a.group != "domain" or a.name.split(".")[0] in AIMED_AT_OTHERS]
        groups += outside.untouched("executor")
        groups += [
            check("domain", "outside.other_executor_lives", victims[0] in serving, f"{len(serving)} executors"),
            check("domain", "outside.forged_answers", caller.calls and not caller.wrong,
                  f"{caller.calls} requests of the other domain meanwhile, {len(caller.wrong)} wrong"),
            check("domain", "outside.other_domain_serves", CANARY.encode() in after.body, "yes"),
            check("executor", "outside.node_serves", own.admin("GET", "/v1/node").status == 200, "yes"),
        ]
        return groups


# The attempts that are against another executor; the rest is the same for every victim.
AIMED_AT_OTHERS = {"processes", "files", "descriptors"}


def told(variables):
    return [f"{name}={value}" for name, value in variables.items()]


def try_runc():
    """The container's payload under `runc spec` as it comes, as root: the yardstick, of which nothing is asked."""
    need_root()
    if shutil.which("runc") is None:
        raise Skip("runc is not installed: make walls installs it")
    with host() as outside, node(ONLY_CONTAINER) as own:
        deploy(own, "victim", container=True)
        own.get("/function/victim/")
        victims = [p for p in descendants(own.process.pid) if command_of(p).startswith("/function")]
        bundle = own.folder / "bundle"
        for folder in ("proc", "sys", "dev", "tmp"):
            (bundle / "rootfs" / folder).mkdir(parents=True)
        shutil.copy(payload("escape-payload"), bundle / "rootfs" / "payload")
        subprocess.run(["runc", "spec"], cwd=bundle, check=True)
        spec = json.loads((bundle / "config.json").read_text())
        spec["process"] |= {"terminal": False, "args": ["/payload"],
                            "env": told(outside.variables(**about(own, [], victims)))}
        (bundle / "config.json").write_text(json.dumps(spec))
        name = f"hybridserve-escape-{secrets.token_hex(4)}"
        ran = subprocess.run(["runc", "--root", own.folder / "runc", "run", name], cwd=bundle, timeout=60,
                             stdin=subprocess.DEVNULL, capture_output=True, text=True)
        if ran.returncode != 0:
            raise Skip(f"runc does not run here: {ran.stderr.strip()[-200:]}")
        return parse(ran.stdout, "runc") + outside.untouched("runc")


def try_control():
    """The payload where much is open: an ordinary user in namespaces that are its own, nothing more.

    Shows that the payload sees what is open; that it finds nothing elsewhere means something only so."""
    need_root()
    user = 64999
    with host() as outside:
        program = outside.folder / "payload"
        shutil.copy(payload("escape-payload"), program)
        command = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", "unshare", "--user",
                   "--map-root-user", "--pid", "--fork", "--mount", program]
        ran = subprocess.run(command, env=dict(v.split("=", 1) for v in told(outside.variables())), timeout=60,
                             stdin=subprocess.DEVNULL, capture_output=True, text=True)
        if ran.returncode != 0:
            raise Skip(f"user namespaces cannot be made here: {ran.stderr.strip()[-200:]}")
        attempts = parse(ran.stdout, "control")
        program.unlink()
        return attempts + outside.untouched("control")
