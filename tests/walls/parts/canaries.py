"""Secrets, keys and tokens are in place, failures are provoked, and then all that the node said is searched for them.

Not named after secrets: Python has a module of that name."""
import base64
import contextlib
import json
import os
import pathlib
import signal
import subprocess
import tempfile
import threading
import time
import urllib.parse

import tls
from node import BIN, Node, Skip, deploy, wait_for, write_function


class Canaries:
    """What must not be seen, in the forms in which it could be."""

    def __init__(self):
        self.forms = {}

    def add(self, name, value):
        raw = value.encode()
        texts = {value, raw.hex(), raw.hex().upper(), urllib.parse.quote(value, safe="")}
        # Base64 of a text that the value is somewhere in: at each of three offsets, without the edges.
        for shift in range(3):
            encoded = base64.b64encode(b"\0" * shift + raw + b"\0" * 2).decode()
            texts.add(encoded[4:-8])
            texts.add(encoded[4:-8].translate(str.maketrans("+/", "-_")))
        self.forms[name] = {text.encode() for text in texts if len(text) >= 12}
        return value

    def found(self, output):
        """The names of those that stand in some bytes."""
        return {name for name, texts in self.forms.items() if any(text in output for text in texts)}


class Heard:
    """All that was said, by where."""

    def __init__(self):
        self.outputs = []

    def add(self, where, output):
        self.outputs.append((where, output if isinstance(output, bytes) else str(output).encode()))

    def answer(self, where, answer):
        self.add(where, str(answer.status).encode() + b"\n" + str(answer.headers).encode() + b"\n" + answer.body)
        return answer

    def cli(self, own, *arguments, **options):
        done = own.cli(*arguments, check=False, **options)
        self.add(f"hybridserve {arguments[0]}", done.stdout + done.stderr)
        return done


class Place:
    """A node with a secret, a key and a token in place, and functions with and without them."""

    def __init__(self, folder):
        self.folder, self.canaries, self.heard = folder, Canaries(), Heard()
        self.secret_file = folder / "secret"
        self.secret = self.canaries.add("secret", f"canary-secret-{os.urandom(16).hex()}")
        self.secret_file.write_text(self.secret + "\n")
        tls.for_server(self.secret_file)
        self.certificate, self.key_file = tls.make_pair(folder)
        for line in self.key_file.read_text().splitlines()[1:-1]:
            self.canaries.add("private key", line)
        self.key = self.canaries.add("key", tls.make_token(folder / "keys"))
        self.token = self.canaries.add("token", tls.make_token(folder / "tokens"))
        self.wrong = self.canaries.add("wrong key", os.urandom(32).hex())
        # What an operator puts into a file by mistake: the thing itself.
        self.mistaken = self.canaries.add("key in the clear", f"canary-clear-{os.urandom(16).hex()}")
        (folder / "clear").write_text(self.mistaken + "\n")
        self.own = Node({"node": {"log_level": "trace"}, "metrics": {"access": "all"},
                         "policy": {"allow_route_header": True},
                         "gateway": {"tls_certificate": str(self.certificate), "tls_key": str(self.key_file)},
                         "admin": {"listen": "127.0.0.1:0", "token_file": str(folder / "tokens"),
                                   "tls_certificate": str(self.certificate), "tls_key": str(self.key_file)}},
                        folder=folder / "node")
        self.contained = self.own.info["containers"]

    def ask(self, path, key=None, **options):
        headers = {**options.pop("headers", {}), **(tls.bearer(key) if key else {})}
        return tls.ask(self.own.port, self.certificate, path, headers, **options)

    def deploy(self):
        access = f'[secrets]\nCANARY = "{self.secret_file}"\n[access]\nkeys = "{self.folder / "keys"}"'
        deploy(self.own, "keeper", container=self.contained, manifest=access)
        deploy(self.own, "other", container=self.contained)

    def backends(self):
        return ["wasm-only", *(["container-only"] if self.contained else [])]


def gets_it(place):
    """The function itself has its secret, on each backend; the other one has not, nor has anything the key."""
    held, seen = True, []
    for route in place.backends():
        headers = {"HybridServe-Route": route}
        own = place.ask("/function/keeper/env", place.key, headers=headers)
        held = held and own.status == 200 and place.canaries.found(own.body) == {"secret"}
        other = place.heard.answer("the other function's environment", place.ask("/function/other/env", headers=headers))
        held = held and other.status == 200
        seen.append(f"{route} {own.status}/{other.status}")
    return held, ", ".join(seen)


def bad_deploys(place):
    """Everything that a deploy with secrets and keys can be refused for."""
    refused = 0
    own, heard = place.own, place.heard
    os.chmod(place.folder / "clear", 0o644)
    (place.folder / "zero").write_bytes(b"a\0" + place.secret.encode())
    (place.folder / "large").write_text(place.secret * 500)
    for number, manifest in enumerate([
            f'[secrets]\nCANARY = "{place.folder / "zero"}"', f'[secrets]\nCANARY = "{place.folder / "large"}"',
            f'[secrets]\nCANARY = "{place.key_file}"', f'[secrets]\nCANARY = "{place.folder / "tokens"}"',
            f'[secrets]\nCANARY = "{own.state}/server/registry.db"', f'[access]\nkeys = "{place.folder / "clear"}"',
            f'[access]\nkeys = "{place.secret_file}"', f'[access]\nkeys = "{place.key_file}"',
            f'[secrets]\nCANARY = "{place.secret_file}"\n[[folders]]\nhost = "/etc"\nguest = "/etc"']):
        folder = write_function(own, f"bad-{number}", manifest=manifest)
        refused += heard.cli(own, "deploy", folder).returncode != 0
    for number, module in enumerate([b"\0asm\1\0\0\0\7", b"no module"]):
        folder = write_function(own, f"broken-{number}", wasm=module,
                                manifest=f'[secrets]\nCANARY = "{place.secret_file}"')
        refused += heard.cli(own, "deploy", folder).returncode != 0
    return refused, 11


def failing_requests(place):
    """Each way in which a function fails, and each wrong key; returns how many were no success."""
    failed = tried = 0
    for route in place.backends():
        for path in ("trap", "exit", "badcgi", "nothing", "log?text=fine"):
            answer = place.ask(f"/function/keeper/{path}", place.key, headers={"HybridServe-Route": route})
            place.heard.answer(f"{route} {path}", answer)
    for headers in ({}, tls.bearer(place.wrong), {"Authorization": place.key}, tls.bearer(place.key + "0"),
                    {"Authorization": f"Basic {place.key}"}, tls.bearer(place.token)):
        answer = place.heard.answer("a wrong key", place.ask("/function/keeper/env", headers=headers))
        tried, failed = tried + 1, failed + (answer.status == 401)
    # In the address, of which its sender is told what was not found there; nobody else is.
    for path in (f"/function/{place.key}", f"/function/keeper?key={place.key}", f"/{place.key}"):
        tried, failed = tried + 1, failed + (place.ask(path).status >= 400)
    with contextlib.closing(place.own.connection()) as connection:
        connection.request("GET", "/function/keeper", headers=tls.bearer(place.key))
        response = connection.getresponse()
        place.heard.add("a key without TLS", response.read())
        tried, failed = tried + 1, failed + (response.status == 400)
    return failed, tried


def wrong_tokens(place):
    port = int(place.own.output().rsplit("admin API on https://127.0.0.1:", 1)[1].split(",", 1)[0])
    failed = tried = 0
    for headers in ({}, tls.bearer(place.wrong), {"Authorization": place.token}, tls.bearer(place.key)):
        for method, path, body in (("GET", "/v1/functions", None), ("POST", "/v1/functions", "{"), ("GET", "/x", None)):
            answer = tls.ask(port, place.certificate, path, headers, method, body)
            place.heard.answer("a wrong token", answer)
            tried, failed = tried + 1, failed + (answer.status == 401)
    for path in ("/v1/node", "/v1/functions", "/v1/functions/keeper", "/metrics", "/v1/functions/keeper/logs", "/nothing"):
        place.heard.answer(f"admin {path}", tls.ask(port, place.certificate, path, tls.bearer(place.token)))
    return failed, tried


def crashes(place):
    """The executor dies under a request, the server under the next; both come back and serve."""
    own = place.own
    running = threading.Thread(target=lambda: place.heard.answer(
        "a killed executor", place.ask("/function/keeper/sleep?ms=3000", place.key,
                                       headers={"HybridServe-Route": "wasm-only"})))
    running.start()
    wait_for("the guest to run", lambda: own.status("keeper")["wasm_running"] > 0)
    for pid in own.processes("hybridserve-executor-wasmtime serve"):
        os.kill(pid, signal.SIGKILL)
    running.join()
    for pid in own.processes("hybridserve-server"):
        os.kill(pid, signal.SIGKILL)

    def serves():
        with contextlib.suppress(OSError):
            own.wait_ready()
            return place.ask("/function/keeper", place.key).status == 200
        return False

    return wait_for("the node to serve again", serves, 30)


def bad_changes(place):
    """Files that change for the worse: the key, the certificate's key, then the secret at a start."""
    own = place.own
    for path, content in ((place.folder / "keys", place.mistaken), (place.key_file, place.mistaken + place.secret),
                          (place.folder / "tokens", place.token)):
        good, before = path.read_text(), own.output().count(" error ")
        path.chmod(0o600)
        path.write_text(content + "\n")
        wait_for(f"the log to say what is wrong with {path.name}",
                 lambda count=before: own.output().count(" error ") > count, 10)
        path.write_text(good)
        path.chmod(0o400 if path == place.key_file else 0o644)
    place.secret_file.write_bytes(place.secret.encode() + b"\0")
    own.terminate()
    own.process.wait(60)
    own.start()
    return "holds a zero byte" in own.output()


def ask_everything(place):
    own, heard = place.own, place.heard
    for path in ("/v1/node", "/v1/functions", "/metrics", "/v1/functions/nothing",
                 *(f"/v1/functions/{name}{what}" for name in ("keeper", "other") for what in ("", "/logs"))):
        heard.answer(f"admin {path}", own.admin("GET", path))
    heard.answer("/metrics", place.ask("/metrics"))
    for command in (["list"], ["describe", "keeper"], ["describe", "other"], ["logs", "keeper"], ["logs", "other"],
                    ["version"], ["invoke", "keeper", "--ca", place.certificate]):
        heard.cli(own, *command)
        if command[0] != "logs":
            heard.cli(own, *command, "--output", "json")
    key = place.folder / "two words"
    key.write_text(f"{place.key} {place.token}\n")
    heard.cli(own, "invoke", "keeper", "--key-file", key)
    done = subprocess.run([BIN / "hybridserve", "token", place.folder / "clear"], capture_output=True, text=True,
                          check=False)
    heard.add("hybridserve token", done.stdout + done.stderr)
    heard.add("command lines", b"".join(
        pathlib.Path(f"/proc/{pid}/cmdline").read_bytes() for pid in own.processes("hybridserve")))


def stored(place):
    """What the node keeps on its disk, but for its log."""
    for path in sorted(place.own.state.rglob("*")):
        if path.is_file():
            place.heard.add(f"STATE/{path.relative_to(place.own.state)}", path.read_bytes())


def run(table):
    if os.geteuid() != 0:
        raise Skip("needs root: the server must be another user than the one who keeps the files")
    with tempfile.TemporaryDirectory(prefix="hybridserve-walls.") as name:
        folder = pathlib.Path(name)
        os.chmod(folder, 0o755)
        (folder / "node").mkdir()
        place = Place(folder)
        try:
            started = time.monotonic()
            place.deploy()
            held, figure = gets_it(place)
            table.row("canaries", "a secret reaches its function, no other", held, figure)
            for tried, attempt in (("deploys that go wrong are refused", bad_deploys),
                                   ("requests without a right key are refused", failing_requests),
                                   ("admin requests without a token are refused", wrong_tokens)):
                failed, count = attempt(place)
                table.row("canaries", tried, failed == count, f"{failed} of {count}")
            table.row("canaries", "executor and server killed, both come back", crashes(place))
            ask_everything(place)
            table.row("canaries", "bad changes of files are named in the log", bad_changes(place))
            ask_everything(place)
            stored(place)
            place.heard.add("the node's log", place.own.output())
            leaks = [(where, sorted(names)) for where, output in place.heard.outputs
                     if (names := place.canaries.found(output))]
            for where, names in leaks:
                print(f"  {where} shows {', '.join(names)}", flush=True)
            size = sum(len(output) for _, output in place.heard.outputs)
            forms = sum(len(texts) for texts in place.canaries.forms.values())
            table.row("canaries", "all output searched for secrets, keys, tokens", not leaks,
                      f"{len(place.heard.outputs)} outputs, {size / 1e6:.1f} MB, {forms} forms, {len(leaks)} leaks, "
                      f"{time.monotonic() - started:.0f} s")
            place.own.stop()
        except BaseException:
            print(json.dumps(place.own.output()[-4000:]))
            raise
        finally:
            place.own.close()
