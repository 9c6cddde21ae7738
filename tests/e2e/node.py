"""A node of a test's own: temporary state, free ports, ended with the test; and what talks to it."""
import contextlib
import http.client
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import time

BIN = pathlib.Path(os.environ.get("HYBRIDSERVE_BIN", "build/release/bin")).resolve()
ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache")) / "hybridserve"


class Skip(Exception):
    """The machine lacks what the test needs; the text says what."""


def wait_for(what, condition, seconds=20):
    """Polls until `condition()` is true and returns its value; fails with `what` after `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"timed out after {seconds} s: {what}")
        time.sleep(0.005)


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path, timeout=30):
        super().__init__("node", timeout=timeout)
        self.path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Answer:
    def __init__(self, response):
        self.status = response.status
        self.headers = response.headers
        self.body = response.read()
        self.backend = response.getheader("HybridServe-Backend")
        self.start = response.getheader("HybridServe-Start")
        self.reason = response.getheader("HybridServe-Reason")

    def json(self):
        return json.loads(self.body)

    @property
    def error(self):
        """The message of an error answer."""
        return self.json()["error"]["message"]

    def __repr__(self):
        return f"{self.status} {self.backend}/{self.start}/{self.reason} {self.body[:200]!r}"


def descendants(pid):
    """The pids of a process's children, and theirs."""
    found, todo = [], [pid]
    while todo:
        current = todo.pop()
        with contextlib.suppress(OSError):
            for task in os.listdir(f"/proc/{current}/task"):
                children = pathlib.Path(f"/proc/{current}/task/{task}/children").read_text().split()
                found += map(int, children)
                todo += map(int, children)
    return found


def command_of(pid):
    with contextlib.suppress(OSError):
        return pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    return ""


class Node:
    def __init__(self, config=None, user=None, folder=None, wait=True):
        self.folder = folder or pathlib.Path(tempfile.mkdtemp(prefix="hybridserve-e2e."))
        os.chmod(self.folder, 0o755)
        self.state = self.folder / "state"
        if user is not None:
            os.chown(self.folder, user, user)
        sections = {"gateway": {"listen": "127.0.0.1:0"}}
        for section, keys in (config or {}).items():
            sections.setdefault(section, {}).update(keys)
        lines = []
        for section, keys in sections.items():
            lines.append(f"[{section}]")
            lines += [f"{key} = {json.dumps(value)}" for key, value in keys.items()]
        self.config = self.folder / "node.toml"
        self.config.write_text("\n".join(lines) + "\n")
        self.user = user
        self.process = None
        self.start(wait)

    def start(self, wait=True):
        self.log = open(self.folder / "node.log", "a+")
        command = [BIN / "hybridserve", "serve", "--config", self.config, "--state-folder", self.state]
        environment = {k: v for k, v in os.environ.items() if not k.startswith("HYBRIDSERVE_")}
        if self.user is not None:
            environment["HOME"] = str(self.folder)
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log,
                                        env=environment, user=self.user, group=self.user,
                                        extra_groups=[] if self.user is not None else None)
        if wait:
            try:
                self.wait_ready()
            except BaseException:
                print("--- the node's log:\n" + self.output()[-8000:])
                self.close()
                raise

    def wait_ready(self):
        def ready():
            if self.process.poll() is not None:
                raise AssertionError(f"the node ended with {self.process.returncode}:\n{self.output()}")
            with contextlib.suppress(OSError, ValueError, http.client.HTTPException):
                return self.admin("GET", "/v1/node").json()
            return None

        self.info = wait_for("the node to be ready", ready, 30)
        host, port = self.info["gateway"].rsplit(":", 1)
        self.host, self.port = host.strip("[]"), int(port)

    def output(self):
        return (self.folder / "node.log").read_text(errors="replace")

    def admin(self, method, path, body=None):
        connection = UnixConnection(self.state / "server" / "admin.sock")
        try:
            connection.request(method, path, body=json.dumps(body) if body is not None else None,
                               headers={"Content-Type": "application/json"} if body is not None else {})
            return Answer(connection.getresponse())
        finally:
            connection.close()

    def connection(self, timeout=60):
        connection = http.client.HTTPConnection(self.host, self.port, timeout=timeout)
        connection.connect()
        connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    def get(self, path, method="GET", body=None, headers=None, connection=None):
        own = connection or self.connection()
        try:
            headers = headers or {}
            own.request(method, path, body=body, headers=headers, encode_chunked="Transfer-Encoding" in headers)
            return Answer(own.getresponse())
        finally:
            if connection is None:
                own.close()

    def cli(self, *arguments, check=True, **options):
        result = subprocess.run([BIN / "hybridserve", *map(str, arguments), "--state-folder", self.state],
                                stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300, **options)
        if check and result.returncode != 0:
            raise AssertionError(f"hybridserve {arguments} ended with {result.returncode}:\n"
                                 f"{result.stdout}{result.stderr}")
        return result

    def describe(self, name):
        return self.admin("GET", f"/v1/functions/{name}").json()

    def status(self, name):
        return self.describe(name)["status"]

    def containers(self, name):
        counts = self.status(name)["containers"]
        return counts["ready"] + counts["starting"]

    def functions(self):
        return [f["name"] for f in self.admin("GET", "/v1/functions").json()["functions"]]

    def metrics(self):
        return self.admin("GET", "/metrics").body.decode()

    def processes(self, word):
        """The node's processes whose command holds `word`."""
        return [pid for pid in descendants(self.process.pid) if word in command_of(pid)]

    def terminate(self):
        self.process.send_signal(signal.SIGTERM)

    def stop(self):
        """Ends the node and checks that it left nothing behind."""
        children = descendants(self.process.pid) if self.process.poll() is None else []
        if self.process.poll() is None:
            self.terminate()
            try:
                self.process.wait(60)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
                raise AssertionError(f"the node did not end after SIGTERM:\n{self.output()}") from None
        for child in children:
            wait_for(f"process {child} ({command_of(child)}) to end", lambda c=child: not os.path.exists(f"/proc/{c}") or
                     "State:\tZ" in pathlib.Path(f"/proc/{c}/status").read_text(), 5)
        mounts = pathlib.Path("/proc/self/mounts").read_text()
        assert str(self.state) not in mounts, f"a mount was left behind:\n{mounts}"

    def close(self):
        if self.process and self.process.poll() is None:
            # What the launcher started ends with it.
            self.process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(5)
            self.process.kill()
            self.process.wait()
        self.log.close()
        shutil.rmtree(self.folder, ignore_errors=True)


@contextlib.contextmanager
def node(config=None, **options):
    own = Node(config, **options)
    try:
        yield own
        own.stop()
    except BaseException:
        print("--- the node's log:\n" + own.output()[-8000:])
        raise
    finally:
        own.close()


def zig():
    python = CACHE / "venv" / "bin" / "python"
    if not python.exists():
        raise Skip("the C compiler for Wasm (zig) is not installed: make setup")
    return [python, "-m", "ziglang"]


def need_root():
    if os.geteuid() != 0:
        raise Skip("needs root: containers cannot be started by an ordinary user")


_built = {}


def fixture(kind):
    """The path of the tests' function built as `kind`, built once a machine.

    wasm: a CGI command; native: an HTTP server; stdio: the CGI command as a native program."""
    if kind not in _built:
        source = pathlib.Path(__file__).parent / "fixture" / "function.c"
        folder = BIN.parent / "e2e-fixture"
        folder.mkdir(parents=True, exist_ok=True)
        out = folder / {"wasm": "function.wasm", "native": "function", "stdio": "function-stdio"}[kind]
        if not out.exists() or out.stat().st_mtime < source.stat().st_mtime:
            temporary = out.with_name(f"{out.name}.{os.getpid()}")
            if kind == "wasm":
                command = [*zig(), "cc", "-target", "wasm32-wasi", "-O2", "-s", "-Wl,-z,stack-size=131072"]
            else:
                command = ["gcc", "-O2", "-static", "-pthread", *(["-DCGI"] if kind == "stdio" else [])]
            subprocess.run([*command, source, "-o", temporary], check=True)
            temporary.rename(out)
        _built[kind] = out
    return _built[kind]


def wat(text):
    """A Wasm module from its text."""
    if shutil.which("wat2wasm") is None:
        raise Skip("wat2wasm is not installed: make test installs it")
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "m.wat"
        path.write_text(text)
        subprocess.run(["wat2wasm", "--enable-all", path, "-o", path.with_suffix(".wasm")], check=True)
        return path.with_suffix(".wasm").read_bytes()


def write_function(own, name="fixture", wasm=True, container=False, manifest="", command=(), folder=None):
    """Writes a function's folder beside the node's state and returns it.

    `wasm` may be a module's bytes; `container` may be "stdio", a program behind hybridserve-init."""
    folder = folder or own.folder / f"function-{name.replace('/', '_')[:40]}"
    folder.mkdir(exist_ok=True)
    top, sections = manifest.partition("\n[")[0], manifest.partition("\n[")[2]
    text = f'name = "{name}"\n{top}\n'
    if wasm:
        data = wasm if isinstance(wasm, bytes) else fixture("wasm").read_bytes()
        (folder / "function.wasm").write_bytes(data)
        text += '[wasm]\nmodule = "function.wasm"\n'
    if container:
        shutil.copy(fixture("stdio" if container == "stdio" else "native"), folder / "function")
        text += '[container]\nimage = "image.tar"\nbinary = "function"\n'
        if container == "stdio":
            text += "stdio = true\n"
        if command:
            text += f"command = {json.dumps(['/function', *command])}\n"
    if sections:
        text += "[" + sections
    (folder / "function.toml").write_text(text + "\n")
    if container:
        subprocess.run([BIN / "hybridserve", "build", folder], check=True, capture_output=True, text=True)
    return folder


def deploy(own, name="fixture", **options):
    folder = write_function(own, name, **options)
    own.cli("deploy", folder)
    return folder
