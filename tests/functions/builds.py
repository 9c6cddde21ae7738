"""A function's builds, deployed on a node of the test's own: Wasm, and a container on each base."""
import contextlib
import os
import re

import node as nodes
from inputs import Origin, Request, folder_of, needs_origin

WASM = "wasm"
CONFIG = {"policy": {"allow_route_header": True}}


class Deployed:
    """One function on one node."""

    def __init__(self, own, name, origin, keep_alive=None):
        self.own, self.name, self.origin = own, name, origin
        self.folder = folder_of(name)
        self.manifest = (self.folder / "function.toml").read_text()
        self.label = re.search(r'^name *= *"(.*)"', self.manifest, re.M)[1]
        self.has_wasm = "[wasm]" in self.manifest
        self.keep_alive = keep_alive
        self.products = {}  # Build to its file.
        self.names = {}     # Build to the function's name on the node.
        self._deploy()

    def _deploy(self):
        base = (re.search(r'^base *= *"(.*)"', self.manifest, re.M) or [0, "scratch"])[1]
        variants = re.findall(r'"(\w+)"', (re.search(r"^variants *= *\[(.*)\]", self.manifest, re.M) or [0, ""])[1])
        binary = re.search(r'^binary *= *"(.*)"', self.manifest, re.M)[1]
        for place, on in enumerate([base, *variants]):
            image = self.folder / (binary + ("" if place == 0 else "-" + on) + ".tar")
            self._deploy_as(f"{self.label}-{on}", on, image)
            self.products[on], self.names[on] = image, f"{self.label}-{on}"
        if self.has_wasm:
            module = re.search(r'^module *= *"(.*)"', self.manifest, re.M)[1]
            self.products[WASM], self.names[WASM] = self.folder / module, f"{self.label}-{base}"

    def _deploy_as(self, name, base, image):
        if not image.exists():
            raise nodes.Skip(f"{self.name} is not built ({self._why_not()}): make functions")
        folder = self.own.folder / name
        folder.mkdir()
        os.symlink(self.folder / "build", folder / "build")
        manifest = re.sub(r'^name *=.*', f'name = "{name}"', self.manifest, count=1, flags=re.M)
        if self.keep_alive:
            manifest = _with_keep_alive(manifest, self.keep_alive)
        (folder / "function.toml").write_text(manifest)
        self.own.cli("deploy", folder, "--base", base)

    def _why_not(self):
        log = self.folder / "build" / "log"
        lines = log.read_text(errors="replace").splitlines() if log.exists() else []
        return lines[-1] if lines else "nothing was tried"

    def builds(self):
        """Wasm first, then the containers."""
        return sorted(self.names, key=lambda build: build != WASM)

    def ask(self, build, request: Request, connection=None):
        route = "wasm-only" if build == WASM else "container-only"
        headers = {**request.headers, "HybridServe-Route": route}
        answer = self.own.get(f"/function/{self.names[build]}{request.path}", "POST" if request.body else "GET",
                              request.body, headers, connection)
        assert answer.backend == ("wasm" if build == WASM else "container"), f"{build}: {answer}"
        return answer


def _with_keep_alive(manifest, text):
    manifest = re.sub(r"^keep_alive *=.*\n", "", manifest, flags=re.M)
    if "[scale]" in manifest:
        return manifest.replace("[scale]", f'[scale]\nkeep_alive = "{text}"')
    return manifest + f'\n[scale]\nkeep_alive = "{text}"\n'


@contextlib.contextmanager
def deployed(name, keep_alive=None):
    nodes.need_root()
    with contextlib.ExitStack() as stack:
        config, origin = dict(CONFIG), None
        if needs_origin(name):
            origin = stack.enter_context(Origin())
            config["network"] = {"allowed": ["127.0.0.1:*"]}
        yield Deployed(stack.enter_context(nodes.node(config)), name, origin, keep_alive)
