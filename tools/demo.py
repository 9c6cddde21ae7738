#!/usr/bin/env python3
"""The demo: one node, two functions of one source each, real requests, and what became of each.

Starts a node on free ports in a temporary state folder, shows the first request in Wasm, the move to
the container, the surplus of a burst, and the scale to zero; ends by itself and leaves nothing.
"""
import argparse
import concurrent.futures
import http.client
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache")) / "hybridserve"
KEEP_ALIVE_SECONDS = 3
BOLD, DIM, RESET = ("\033[1m", "\033[2m", "\033[0m") if sys.stdout.isatty() else ("", "", "")


def say(text=""):
    print(text, flush=True)


def headline(text):
    say(f"\n{BOLD}{text}{RESET}")


class AdminConnection(http.client.HTTPConnection):
    """HTTP over the node's unix socket."""

    def __init__(self, path):
        super().__init__("node", timeout=10)
        self.path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Node:
    """A node of its own: temporary state, free ports, ended with the demo."""

    def __init__(self, bin_folder):
        self.bin = bin_folder
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="hybridserve-demo."))
        os.chmod(self.folder, 0o755)
        self.state = self.folder / "state"
        self.log = open(self.folder / "node.log", "w+")
        self.process = subprocess.Popen(
            [self.bin / "hybridserve", "serve", "--state-folder", self.state, "--listen", "127.0.0.1:0"],
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        self.info = self.wait_until_ready()
        host, port = self.info["gateway"].rsplit(":", 1)
        self.host, self.port = host.strip("[]"), int(port)

    def admin(self, path):
        connection = AdminConnection(self.state / "server" / "admin.sock")
        connection.request("GET", path)
        answer = connection.getresponse()
        return json.loads(answer.read())

    def wait_until_ready(self):
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                return self.admin("/v1/node")
            except OSError:
                time.sleep(0.02)
        self.log.seek(0)
        sys.exit("demo: the node did not start:\n" + self.log.read())

    def cli(self, *arguments):
        result = subprocess.run([self.bin / "hybridserve", *arguments, "--state-folder", self.state],
                                stdin=subprocess.DEVNULL, capture_output=True, text=True)
        if result.returncode != 0:
            sys.exit(f"demo: hybridserve {' '.join(map(str, arguments))} failed:\n{result.stdout}{result.stderr}")
        return result.stdout

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(40)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.log.close()
        shutil.rmtree(self.folder, ignore_errors=True)


COLUMNS = f"{'#':>3}  {'function':<17} {'backend':<10} {'start':<5} {'queue':>9} {'start':>9} {'run':>10} {'total':>10}   why"


class Table:
    def __init__(self, node):
        self.node, self.count = node, 0
        self.connection = None

    def header(self):
        say(f"{DIM}{COLUMNS}   (times in ms){RESET}")

    def request(self, function, query="", body=None, connection=None):
        """One request; its row of the table as a dictionary."""
        own = connection or self.connection
        if own is None:
            own = self.connection = http.client.HTTPConnection(self.node.host, self.node.port, timeout=60)
            own.connect()
            own.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        started = time.perf_counter()
        own.request("POST" if body else "GET", f"/function/{function}{query}", body=body)
        answer = own.getresponse()
        content = answer.read()
        total = (time.perf_counter() - started) * 1000
        if answer.status != 200:
            sys.exit(f"demo: {function} answered {answer.status}: {content[:300]!r}")
        timing = dict(re.findall(r"(\w+);dur=([\d.]+)", answer.getheader("Server-Timing", "")))
        return {"function": function, "backend": answer.getheader("HybridServe-Backend"),
                "kind": answer.getheader("HybridServe-Start"), "reason": answer.getheader("HybridServe-Reason"),
                "queue": float(timing.get("queue", 0)), "start": float(timing.get("start", 0)),
                "run": float(timing.get("run", 0)), "total": total, "body": content}

    def show(self, row):
        self.count += 1
        say(f"{self.count:>3}  {row['function']:<17} {row['backend']:<10} {row['kind']:<5} {row['queue']:>9.3f} "
            f"{row['start']:>9.3f} {row['run']:>10.3f} {row['total']:>10.3f}   {row['reason']}")
        return row


def follow_to_container(node, table, function, query, body, containers):
    """Requests in a row until the container answers; shows the first ones and the change."""
    first = table.show(table.request(function, query, body))
    answers = {first["body"]}
    hidden, deadline = 0, time.monotonic() + 30
    last = first
    for turn in range(1, 100000):
        last = table.request(function, query, body)
        answers.add(last["body"])
        if last["backend"] == "container" or time.monotonic() > deadline or (not containers and turn >= 3):
            break
        if turn <= 2:
            table.show(last)
        else:
            hidden += 1
    if hidden:
        say(f"{DIM}     ... {hidden} more in Wasm while the container was being prepared ...{RESET}")
        table.count += hidden
    table.show(last)
    if last["backend"] == "container":
        table.show(table.request(function, query, body))
        table.show(table.request(function, query, body))
    say(f"     every answer was byte for byte the same: {'yes' if len(answers) == 1 else 'NO'}")
    if len(answers) != 1:
        sys.exit("demo: the two builds answered differently")
    return first, last


def burst(node, table, function, query, body, size):
    def one(_):
        connection = http.client.HTTPConnection(node.host, node.port, timeout=120)
        try:
            return table.request(function, query, body, connection)
        finally:
            connection.close()

    with concurrent.futures.ThreadPoolExecutor(size) as pool:
        rows = list(pool.map(one, range(size)))
    for row in sorted(rows, key=lambda row: row["total"]):
        table.show(row)
    return rows


def wait_for_zero(node, functions):
    deadline = time.monotonic() + KEEP_ALIVE_SECONDS + 30
    started = time.monotonic()
    while time.monotonic() < deadline:
        status = [node.admin(f"/v1/functions/{name}")["status"] for name in functions]
        containers = sum(s["containers"]["ready"] + s["containers"]["starting"] for s in status)
        loaded = sum(bool(s["wasm_loaded"]) for s in status)
        if containers == 0 and loaded == 0:
            return time.monotonic() - started
        time.sleep(0.05)
    sys.exit("demo: the functions were not scaled to zero")


def prepare(node, bin_folder, folder, name):
    """Builds the function, and gives the demo's copy of it a short keep-alive."""
    source = ROOT / "functions" / name
    started = time.monotonic()
    result = subprocess.run([bin_folder / "hybridserve", "build", source, "--base", "scratch"], capture_output=True, text=True,
                            stdin=subprocess.DEVNULL)
    if result.returncode != 0:
        sys.exit(f"demo: building {name} failed:\n{result.stdout}{result.stderr}")
    built = time.monotonic() - started
    copy = folder / name
    shutil.copytree(source, copy)
    manifest = (copy / "function.toml").read_text()
    if "keep_alive" in manifest:
        manifest = re.sub(r'keep_alive *=.*', f'keep_alive = "{KEEP_ALIVE_SECONDS}s"', manifest)
    elif "[scale]" in manifest:
        manifest = manifest.replace("[scale]", f'[scale]\nkeep_alive = "{KEEP_ALIVE_SECONDS}s"')
    else:
        manifest += f'\n[scale]\nkeep_alive = "{KEEP_ALIVE_SECONDS}s"\n'
    (copy / "function.toml").write_text(manifest)
    started = time.monotonic()
    node.cli("deploy", copy)
    deployed = time.monotonic() - started
    say(f"  {name:<17} built in {built:6.1f} s, deployed in {deployed:5.2f} s")


def run(node, bin_folder):
    containers = bool(node.info.get("containers"))
    say(f"node ready on http://{node.info['gateway']}, policy {node.info['policy']}")
    if not containers:
        say(f"No containers on this node: {node.info.get('containers_why_not', 'not possible here')}. "
            "Everything below runs on Wasm alone.")
    headline("Two functions, one C++ source each, built as a Wasm module and as a container image")
    for name in ("float_operation", "image_processing"):
        prepare(node, bin_folder, node.folder, name)
    photo = (CACHE / "china.jpg").read_bytes()
    table = Table(node)

    headline("1. The first request runs in Wasm at once; a container is prepared meanwhile")
    table.header()
    first, last = follow_to_container(node, table, "float_operation", "?n=1000", None, containers)
    say()
    table.header()
    follow_to_container(node, table, "image_processing", "", photo, containers)

    headline(f"2. A burst of 8 photographs at once ({len(photo)} bytes each)"
             + (": the container's slots fill, the surplus runs in Wasm" if containers else ""))
    table.header()
    rows = burst(node, table, "image_processing", "", photo, 8)
    counts = {b: sum(r["backend"] == b for r in rows) for b in ("container", "wasm")}
    say(f"     {counts['container']} answered by the container, {counts['wasm']} by Wasm, none refused")

    headline(f"3. Nobody calls for {KEEP_ALIVE_SECONDS} s (keep_alive): scale to zero")
    waited = wait_for_zero(node, ["float_operation", "image_processing"])
    say(f"     after {waited:.1f} s: no container, no code in memory")
    say()
    table.header()
    again = table.show(table.request("float_operation", "?n=1000"))
    say()
    say(f"A cold start took {again['start']:.3f} ms inside the node; "
        "the published system of this kind measured 34.31 ms (Wasm) and 270.19 ms (container).")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", type=pathlib.Path, required=True, help="folder of the built programs")
    arguments = parser.parse_args()
    bin_folder = arguments.bin.resolve()
    say("HybridServe demo: each request takes the better of a Wasm sandbox and a warm container.")
    node = Node(bin_folder)
    try:
        run(node, bin_folder)
    finally:
        node.stop()
    say()
    say("The node is stopped and its folder removed. Try next:")
    binary = os.path.relpath(bin_folder / "hybridserve")
    say(f"  {binary} serve --state-folder build/state &      a node that stays")
    say(f"  {binary} new hello --lang cpp                    a function of your own")
    say(f"  {binary} build hello && {binary} deploy hello --state-folder build/state")
    say(f"  {binary} invoke hello -v --state-folder build/state")


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    main()
