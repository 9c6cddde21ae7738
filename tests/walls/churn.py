"""Deploys and removals that go on while a node is hurt, and what must be true of them."""
import contextlib
import hashlib
import http.client
import json
import random
import subprocess
import threading

from node import BIN, UnixConnection, Answer, fixture, write_function

NAMES = [f"churn-{number}" for number in range(6)]
IMAGES = 3
FAILED = (OSError, http.client.HTTPException, ValueError)


def custom_section(text):
    """A Wasm section without a meaning: the module is another and does the same."""
    name = text.encode()
    assert len(name) < 120
    return bytes([0, len(name) + 1, len(name)]) + name


class Churn(threading.Thread):
    """Deploys and removes functions in turn, one at a time.

    `known[name]` is what the node acknowledged: a revision, or None for none. While an operation is under way or its
    outcome unknown the name is in `open`: before or after, both are right then, and nothing in between."""

    def __init__(self, own, seed, containers=True):
        super().__init__()
        self.own, self.random = own, random.Random(f"churn/{seed}")
        self.module = fixture("wasm").read_bytes()
        self.images = [self.make_image(number) for number in range(IMAGES)] if containers else []
        self.known = dict.fromkeys(NAMES)
        self.changes = dict.fromkeys(NAMES, 0)
        self.open = set()
        self.turn = self.acknowledged = self.refused = self.cut = 0
        self.wrong = []
        self.ending, self.running = threading.Event(), threading.Event()
        self.idle = threading.Event()
        self.running.set()

    def make_image(self, number):
        folder = write_function(self.own, f"image-{number}", wasm=False, container="stdio")
        with open(folder / "function", "ab") as program:
            program.write(f"image {number}".encode())
        subprocess.run([BIN / "hybridserve", "build", folder], check=True, capture_output=True)
        return (folder / "image.tar").read_bytes()

    def run(self):
        while not self.ending.is_set():
            if not self.running.wait(0.05):
                self.idle.set()
                continue
            self.idle.clear()
            name = self.random.choice(NAMES)
            self.open.add(name)
            self.changes[name] += 1
            operation = self.remove if self.known[name] and self.random.random() < 0.25 else self.deploy
            try:
                operation(name)
            except FAILED:
                self.cut += 1
                self.find_out(name, operation)
            self.open.discard(name)
            self.ending.wait(0.03)
        self.idle.set()

    def pause(self):
        self.running.clear()
        assert self.idle.wait(60), "a deploy did not end"

    def go_on(self):
        self.idle.clear()
        self.running.set()

    def end(self):
        self.ending.set()
        self.join(60)
        assert not self.is_alive(), "a deploy did not end"

    def send(self, method, path, body=None, kind="application/json"):
        connection = UnixConnection(self.own.state / "server" / "admin.sock", timeout=30)
        try:
            connection.request(method, path, body=body, headers={"Content-Type": kind} if body is not None else {})
            return Answer(connection.getresponse())
        finally:
            connection.close()

    def upload(self, data):
        answer = self.send("PUT", "/v1/blobs", data, "application/octet-stream")
        return hashlib.sha256(data).hexdigest() if answer.status == 201 else ""

    def deploy(self, name):
        self.turn += 1
        turn = str(self.turn)
        request = {"manifest": {"name": name, "environment": {"TURN": turn}}}
        if self.images and name in NAMES[-2:]:
            request["manifest"]["container"] = {"image": "image.tar"}
            request["image"] = self.upload(self.random.choice(self.images))
        else:
            fresh = self.random.random() < 0.3  # Code that must be compiled first.
            request["manifest"]["wasm"] = {"module": "function.wasm"}
            request["module"] = self.upload(self.module + (custom_section(turn) if fresh else b""))
        answer = self.send("POST", "/v1/functions", json.dumps(request))
        if answer.status == 200:
            self.acknowledge(name, answer.json()["revision"])
            if "module" in request or self.random.random() < 0.2:
                self.check_served(name, turn)
        else:
            self.refuse(name, answer)

    def remove(self, name):
        answer = self.send("DELETE", f"/v1/functions/{name}")
        if answer.status in (200, 204):
            self.acknowledge(name, None)
        else:
            self.refuse(name, answer)

    def acknowledge(self, name, revision):
        self.acknowledged += 1
        self.known[name] = revision

    def refuse(self, name, answer):
        """An error must say why, and have changed nothing."""
        self.refused += 1
        if not answer.json().get("error", {}).get("message"):
            self.wrong.append(f"{name}: {answer}")
        self.find_out(name)

    def find_out(self, name, operation=None):
        """After an operation whose answer did not come: it happened as a whole or not at all."""
        while not self.ending.is_set():
            with contextlib.suppress(*FAILED):
                answer = self.send("GET", f"/v1/functions/{name}")
                revision = answer.json().get("revision")
                if answer.status not in (200, 404):
                    continue
                before = self.known[name]
                possible = {before}
                if operation == self.remove:
                    possible.add(None)
                elif operation == self.deploy:
                    possible.add(before + 1 if before else revision)
                if revision not in possible:
                    self.wrong.append(f"{name} was {before} and is {revision} after an operation without an answer")
                self.known[name] = revision
                if revision is not None:
                    self.check_served(name, answer.json()["manifest"]["environment"]["TURN"])
                return
            self.ending.wait(0.01)

    def check_served(self, name, turn):
        """The live revision is served as it was deployed, once the node answers at all."""
        with contextlib.suppress(*FAILED):
            answer = self.own.get(f"/function/{name}/env")
            if answer.status in (429, 502, 503, 504):
                return
            if answer.status != 200 or f"TURN={turn}\n".encode() not in answer.body:
                self.wrong.append(f"{name} was deployed with TURN={turn} and answers {answer}")

    def lost(self):
        """Acknowledged deploys and removals that the node does not know, each with how it differs."""
        changes = dict(self.changes)
        settled = {name: revision for name, revision in self.known.items() if name not in self.open}
        listed = {entry["name"]: entry for entry in self.own.admin("GET", "/v1/functions").json()["functions"]}
        found = []
        for name, revision in settled.items():
            if name in self.open or self.changes[name] != changes[name]:
                continue
            entry = listed.get(name, {})
            if entry.get("revision") != revision or entry.get("failure"):
                found.append(f"{name} is at {revision}, and the node says {entry}")
        return found
