"""A node of the benchmark's own: temporary state, a free port, ended with the measurement."""
import contextlib
import hashlib
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


class Failure(Exception):
    """A measurement that could have been made went wrong; the text says what and where."""


class Unavailable(Exception):
    """This machine lacks what the measurement needs; the text is the reason in the summary."""


def descendants(pid):
    """The pids of a process's children, and theirs."""
    found, todo = [], [pid]
    while todo:
        current = todo.pop()
        with contextlib.suppress(OSError):
            for task in os.listdir(f"/proc/{current}/task"):
                text = pathlib.Path(f"/proc/{current}/task/{task}/children").read_text()
                children = [int(word) for word in text.split()]
                found += children
                todo += children
    return found


def command_of(pid):
    with contextlib.suppress(OSError):
        return pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    return ""


class UnixConnection(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path, timeout=300):
        super().__init__("node", timeout=timeout)
        self.path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Admin:
    """The node's admin API (docs/openapi.yaml) over one kept-alive connection."""

    def __init__(self, path):
        self.path = path
        self.connection = UnixConnection(path)

    def ask(self, method, path, body=None, kind="application/json"):
        """The status and the bytes of one answer."""
        self.connection.request(method, path, body=body, headers={"Content-Type": kind} if body is not None else {})
        answer = self.connection.getresponse()
        return answer.status, answer.read()

    def get(self, path):
        status, content = self.ask("GET", path)
        if status != 200:
            raise Failure(f"GET {path} answered {status}: {content[:300]!r}")
        return json.loads(content)

    def upload(self, content):
        """Sends a module or an image, as bytes; its digest."""
        status, answer = self.ask("PUT", "/v1/blobs", content, "application/octet-stream")
        if status >= 300:
            raise Failure(f"uploading a blob answered {status}: {answer[:300]!r}")
        digest = json.loads(answer)["digest"]
        if digest != hashlib.sha256(content).hexdigest():
            raise Failure(f"the node stored a blob of {len(content)} bytes under the wrong digest {digest}")
        return digest

    def deploy(self, manifest, module=None, image=None):
        """Deploys. `module` and `image` are bytes, or digests of what is there already."""
        request = {"manifest": manifest}
        for key, content in (("module", module), ("image", image)):
            if content is not None:
                request[key] = self.upload(content) if isinstance(content, bytes) else content
        status, answer = self.ask("POST", "/v1/functions", json.dumps(request))
        if status != 200 or json.loads(answer).get("changed") is not True:
            raise Failure(f"deploying {manifest['name']} answered {status}: {answer[-500:]!r}")

    def close(self):
        self.connection.close()


class Node:
    """A running node. Use it in a `with`: it is stopped and its folder removed on every way out."""

    def __init__(self, bin_folder, config=None):
        self.bin = bin_folder
        self.config = config or {}

    def __enter__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="hybridserve-bench."))
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, kind, error, trace):
        try:
            if kind is not None:
                print(f"--- the node's log, last lines:\n{self.output()[-3000:]}", flush=True)
        finally:
            self.stop()

    def start(self):
        self.admin, self.process, self.log = None, None, None
        # The server is another user: it has to get through to its state.
        os.chmod(self.folder, 0o755)
        self.state = self.folder / "state"
        sections = {"gateway": {"listen": "127.0.0.1:0"}, **self.config}
        lines = []
        for section, keys in sections.items():
            lines += [f"[{section}]", *(f"{key} = {json.dumps(value)}" for key, value in keys.items())]
        (self.folder / "node.toml").write_text("\n".join(lines) + "\n")
        self.log = open(self.folder / "node.log", "a+")
        environment = {k: v for k, v in os.environ.items() if not k.startswith("HYBRIDSERVE_")}
        self.process = subprocess.Popen(
            [self.bin / "hybridserve", "serve", "--config", self.folder / "node.toml",
             "--state-folder", self.state],
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, env=environment)
        self.wait_until_ready()
        self.address = self.info["gateway"]

    def wait_until_ready(self):
        self.admin_path = self.state / "server" / "admin.sock"
        self.admin = Admin(self.admin_path)
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and self.process.poll() is None:
            with contextlib.suppress(OSError, http.client.HTTPException):
                self.info = self.admin.get("/v1/node")
                return
            self.admin.close()
            time.sleep(0.02)
        raise Failure(f"the node did not start:\n{self.output()[-2000:]}")

    def output(self):
        with contextlib.suppress(OSError):
            return (self.folder / "node.log").read_text(errors="replace")
        return ""

    def url(self, name):
        return f"http://{self.address}/function/{name}"

    def status(self, name):
        return self.admin.get(f"/v1/functions/{name}")["status"]

    def programs(self):
        """The node's own processes: program name to pids. Guests are not among them."""
        found = {}
        for pid in [self.process.pid, *descendants(self.process.pid)]:
            program = os.path.basename(command_of(pid).split(" ")[0])
            if program.startswith("hybridserve"):
                found.setdefault(program, []).append(pid)
        return found

    def stop(self):
        if self.admin:
            self.admin.close()
        if self.process and self.process.poll() is None:
            children = descendants(self.process.pid)
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(40)
            except subprocess.TimeoutExpired:
                for pid in [self.process.pid, *children]:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
                self.process.wait()
        if self.log:
            self.log.close()
        shutil.rmtree(self.folder, ignore_errors=True)


def wait_for(what, condition, seconds=30):
    """Polls until `condition()` is true and returns its value."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise Failure(f"timed out after {seconds} s: {what}")
        time.sleep(0.005)
