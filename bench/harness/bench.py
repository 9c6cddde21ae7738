"""What every measurement shares: programs, a working folder, built functions, and the client."""
import contextlib
import functools
import json
import pathlib
import signal
import subprocess
import tempfile

from . import functions
from .node import Failure, Node


class Bench:
    def __init__(self, bin_folder, quick, report):
        self.bin, self.quick, self.report = bin_folder, quick, report
        self.client_program = bin_folder / "hybridserve-bench-client"

    def __enter__(self):
        self._folder = tempfile.TemporaryDirectory(prefix="hybridserve-bench-work.")
        self.folder = pathlib.Path(self._folder.name)
        # Peers run as other users.
        self.folder.chmod(0o755)
        return self

    def __exit__(self, *_):
        self._folder.cleanup()

    def count(self, full, quick):
        """How many samples: `quick` of them in a smoke run."""
        return quick if self.quick else full

    def node(self, **config):
        """A node with these sections of its configuration."""
        return Node(self.bin, config)

    @functools.cached_property
    def hello(self):
        return functions.build_wasm("hello-c", self.folder)

    @functools.cached_property
    def thumbnail(self):
        return functions.build_wasm("thumbnail", self.folder, "-isystem", "/usr/include/stb")

    @functools.cached_property
    def server_program(self):
        return functions.build_native("static-server", self.folder)

    @functools.cached_property
    def server_image(self):
        return functions.pack_image(self.server_program, self.image_tag)

    @property
    def image_tag(self):
        return "hybridserve-bench-static-server:latest"

    def write(self, name, content):
        """A file in the working folder."""
        path = self.folder / name
        path.write_bytes(content)
        return path

    def sample(self, address, path, expected, samples, warm_ups=0, expect_headers=(), against=None,
               node=None, until=(), settle_ms=0, evict=(), rotate=1):
        """Runs the client over one connection and returns its JSON. With `rotate` the requests go to that
        many functions in turn: {} in `path` and `until` is their number. `against` is a dictionary with
        address, path, expected and, for a connection inside a container, netns_of."""
        command = [self.client_program, "--connect", address, "--path", path,
                   "--expect", self.write("expected", expected),
                   "--samples", samples, "--warm-up", warm_ups, "--settle-ms", settle_ms, "--rotate", rotate]
        for header in expect_headers:
            command += ["--expect-header", header]
        if against:
            command += ["--against-connect", against["address"], "--against-path", against["path"],
                        "--against-expect", self.write("against-expected", against["expected"])]
            if "netns_of" in against:
                command += ["--against-netns-of", against["netns_of"]]
        if until:
            command += ["--admin", node.admin_path]
        for condition in until:
            command += ["--until", condition]
        for target in evict:
            command += ["--evict", target]
        result = subprocess.run([str(word) for word in command], capture_output=True, text=True,
                                stdin=subprocess.DEVNULL)
        if result.returncode != 0:
            raise Failure(f"{path} at {address}: {result.stderr.strip()}")
        return json.loads(result.stdout)


@contextlib.contextmanager
def ended(process, how=signal.SIGTERM):
    """Ends `process` on every way out."""
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(how)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
