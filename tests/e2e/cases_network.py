"""Outbound HTTP: both builds reach what the manifest and the node allow, and nothing else."""
import contextlib
import http.server
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import threading
import time

from node import BIN, ROOT, command_of, descendants, need_root, node, wait_for, zig

PAYLOAD = bytes(range(256)) * 4000


class Server(http.server.ThreadingHTTPServer):
    """What functions call: /file answers, /hang does not."""
    daemon_threads = True

    def __init__(self):
        self.paths, self.left, self.release = [], threading.Event(), threading.Event()
        super().__init__(("127.0.0.1", 0), Handler)
        self.authority = f"127.0.0.1:{self.server_address[1]}"


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.server.paths.append(self.path)
        if self.path == "/hang":
            if self.connection.recv(1) == b"":  # Until the other side has gone.
                self.server.left.set()
            self.close_connection = True
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(PAYLOAD)))
        self.end_headers()
        self.wfile.write(PAYLOAD)

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def server():
    own = Server()
    thread = threading.Thread(target=own.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield own
    finally:
        own.shutdown()
        thread.join()
        own.server_close()


def fnv1a(data):
    value = 0xcbf29ce484222325
    for byte in data:
        value = ((value ^ byte) * 0x100000001b3) & 0xffffffffffffffff
    return f"{value:016x}"


def built_network():
    """functions/network with both builds, made once a machine."""
    zig()
    sources = [ROOT / "functions" / "network", ROOT / "functions" / "common", ROOT / "sdk" / "cpp"]
    newest = max(path.stat().st_mtime for folder in sources for path in folder.rglob("*"))
    done = BIN.parent / "e2e-fixture" / "network-function"
    if not done.exists() or done.stat().st_mtime < newest:
        done.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=done.parent) as folder:
            for name in ("network", "common"):
                shutil.copytree(ROOT / "functions" / name, pathlib.Path(folder) / name,
                                ignore=shutil.ignore_patterns("build"))
            built = pathlib.Path(folder) / "network"
            manifest = (built / "function.toml").read_text().replace('variants = ["debian"]\n', "")
            (built / "function.toml").write_text(manifest)
            made = subprocess.run([BIN / "hybridserve", "build", built], capture_output=True, text=True)
            assert made.returncode == 0, made.stdout + made.stderr
            os.utime(built)
            shutil.rmtree(done, ignore_errors=True)
            with contextlib.suppress(OSError):  # Another test was faster.
                built.rename(done)
    return done


def write_network(own, allow='["127.0.0.1:*"]'):
    """The function's folder, with another allow-list."""
    copy = own.folder / "network"
    shutil.copytree(built_network(), copy, dirs_exist_ok=True)
    text = (copy / "function.toml").read_text()
    (copy / "function.toml").write_text(text.replace('["127.0.0.1:*"]', allow))
    return copy


def config(policy="wasm-only", allowed=("127.0.0.1:*",)):
    return {"policy": {"default": policy}, "network": {"allowed": list(allowed)}}


def fetch(own, authority, path="/file"):
    return own.get(f"/function/network?link=http://{authority}{path}")


def server_of(own):
    """The pid of the node's server; None while there is none."""
    pids = [p for p in descendants(own.process.pid) if command_of(p).split(" ")[0].endswith("/hybridserve-server")]
    return pids[0] if pids else None


def check_download(answer, backend):
    assert (answer.status, answer.backend) == (200, backend), answer
    assert answer.json() == {"status": 200, "bytes": len(PAYLOAD), "checksum": fnv1a(PAYLOAD)}, answer


def test_wasm_function_downloads_what_it_may():
    with server() as upstream, node(config()) as own:
        own.cli("deploy", write_network(own))
        for _ in range(3):
            check_download(fetch(own, upstream.authority, "/file?secret=canary"), "wasm")
        assert upstream.paths == ["/file?secret=canary"] * 3
        assert 'hybridserve_egress_requests_total{function="network",result="ok"} 3' in own.metrics()
        assert "canary" not in own.output()


def test_container_downloads_what_it_may_also_after_the_server_was_killed():
    need_root()
    with server() as upstream, node(config("container-only")) as own:
        own.cli("deploy", write_network(own))
        for _ in range(3):
            check_download(fetch(own, upstream.authority), "container")
        before = server_of(own)
        os.kill(before, signal.SIGKILL)
        wait_for("another server", lambda: server_of(own) not in (None, before))
        own.wait_ready()
        check_download(fetch(own, upstream.authority), "container")
        assert "hybridserve_boots_total{" not in own.metrics(), "the container was adopted, none was started"


def test_wasm_function_is_refused_what_is_not_named():
    with server() as upstream, node(config()) as own:
        own.cli("deploy", write_network(own))
        for authority in ("localhost:1", "127.0.0.2:80", "example.com", "169.254.169.254"):
            answer = fetch(own, authority)
            assert answer.status == 502 and b"status 403" in answer.body and b"[network] allow" in answer.body, answer
        assert upstream.paths == []
        assert 'hybridserve_egress_requests_total{function="network",result="forbidden"} 4' in own.metrics()


def test_container_is_refused_what_is_not_named():
    need_root()
    with node(config("container-only")) as own:
        own.cli("deploy", write_network(own))
        answer = fetch(own, "127.0.0.2:80")
        assert answer.status == 502 and b"status 403" in answer.body, answer


def test_names_are_resolved_by_the_server():
    with server() as upstream, node(config(allowed=["localhost:*"])) as own:
        own.cli("deploy", write_network(own, '["localhost:*"]'))
        check_download(fetch(own, upstream.authority.replace("127.0.0.1", "localhost")), "wasm")
        answer = fetch(own, "localhost:1")
        assert answer.status == 502 and b"cannot connect" in answer.body, answer


def test_node_that_allows_nothing_refuses_the_deploy():
    with node({"policy": {"default": "wasm-only"}}) as own:
        refused = own.cli("deploy", write_network(own), check=False)
        assert refused.returncode != 0, refused
        assert "127.0.0.1:*" in refused.stderr and "[network] allowed" in refused.stderr, refused


def test_function_without_network_has_none():
    with server() as upstream, node(config()) as own:
        folder = write_network(own)
        text = (folder / "function.toml").read_text()
        (folder / "function.toml").write_text(text.replace('[network]\nallow = ["127.0.0.1:*"]', ""))
        own.cli("deploy", folder)
        answer = fetch(own, upstream.authority)
        assert answer.status == 502 and b"has no network" in answer.body, answer
        assert upstream.paths == []


def test_guest_that_waits_for_an_answer_ends_at_run_timeout():
    with server() as upstream, node(config()) as own:
        folder = write_network(own)
        text = (folder / "function.toml").read_text()
        (folder / "function.toml").write_text(text.replace("[limits]", '[limits]\nrun_timeout = "300ms"'))
        own.cli("deploy", folder)
        began = time.monotonic()
        answer = fetch(own, upstream.authority, "/hang")
        took = time.monotonic() - began
        assert answer.status in (502, 504) and 0.25 < took < 2, (answer, took)
        assert upstream.left.wait(5), "the connection to the destination stays open"
        check_download(fetch(own, upstream.authority), "wasm")


def test_guest_that_waits_for_an_answer_ends_when_its_client_has_gone():
    with server() as upstream, node(config()) as own:
        own.cli("deploy", write_network(own))
        connection = own.connection()
        connection.request("GET", f"/function/network?link=http://{upstream.authority}/hang")
        wait_for("the destination to be asked", lambda: upstream.paths)
        connection.close()
        assert upstream.left.wait(5), "the guest goes on although its client has gone"
        wait_for("the guest to end", lambda: own.status("network")["wasm_running"] == 0)
