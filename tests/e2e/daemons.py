"""Daemons that a case starts by hand, in a folder of its own, and ends by pid."""
import contextlib
import pathlib
import shutil
import socket
import subprocess
import tempfile
import urllib.error
import urllib.request

from node import Skip, wait_for


def need_programs(*names):
    absent = [name for name in names if shutil.which(name) is None]
    if absent:
        raise Skip(f"not installed here: {', '.join(absent)}")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Registry:
    """A registry for images on loopback."""

    def __init__(self, folder):
        self.port = free_port()
        self.folder = pathlib.Path(folder)
        config = self.folder / "registry.yml"
        config.write_text(f"version: 0.1\nlog: {{level: warn}}\nstorage: {{filesystem: {{rootdirectory: {folder}/data}}}}\n"
                          f"http: {{addr: '127.0.0.1:{self.port}'}}\n")
        self.log = open(self.folder / "registry.log", "w")
        self.process = subprocess.Popen(["docker-registry", "serve", config], stdin=subprocess.DEVNULL,
                                        stdout=self.log, stderr=self.log)
        wait_for("the registry to answer", self.answers)

    def answers(self):
        assert self.process.poll() is None, (self.folder / "registry.log").read_text()
        with contextlib.suppress(urllib.error.URLError, ConnectionError):
            return urllib.request.urlopen(f"http://127.0.0.1:{self.port}/v2/", timeout=5).status == 200
        return False

    def push(self, layout, name):
        """Returns the digest under which the registry has it."""
        digest = self.folder / "digest"
        subprocess.run(["skopeo", "copy", "--quiet", "--dest-tls-verify=false", "--insecure-policy", "--digestfile",
                        digest, f"oci:{layout}", f"docker://127.0.0.1:{self.port}/{name}"],
                       check=True, capture_output=True, text=True)
        return digest.read_text().strip()

    def end(self):
        self.process.terminate()
        self.process.wait(20)
        self.log.close()


@contextlib.contextmanager
def registry():
    need_programs("docker-registry", "skopeo")
    with tempfile.TemporaryDirectory() as folder:
        own = Registry(folder)
        try:
            yield own
        finally:
            own.end()


class Daemon:
    """A container runtime's daemon on a socket of its own."""

    def __init__(self, folder, command, sock):
        self.folder, self.command, self.socket = pathlib.Path(folder), command, pathlib.Path(sock)
        self.log = open(self.folder / "daemon.log", "w")
        self.start()

    def start(self):
        self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        wait_for("the daemon to listen", self.answers)

    def answers(self):
        assert self.process.poll() is None, (self.folder / "daemon.log").read_text()
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as probe:
            probe.connect(str(self.socket))
            return True
        return False

    def end(self):
        self.process.terminate()
        self.process.wait(40)


@contextlib.contextmanager
def docker_engine():
    need_programs("dockerd", "containerd", "runc")
    with tempfile.TemporaryDirectory(prefix="hs-docker") as folder:
        pathlib.Path(folder, "config.json").write_text("{}")
        own = Daemon(folder, ["dockerd", "--config-file", f"{folder}/config.json", "--host", f"unix://{folder}/d.sock",
                              "--data-root", f"{folder}/data", "--exec-root", f"{folder}/exec",
                              "--pidfile", f"{folder}/pid", "--storage-driver", "overlay2",
                              "--cgroup-parent", "/hybridserve-test-docker", "--iptables=false", "--ip-masq=false",
                              "--ip-forward=false", "--bridge=none"], f"{folder}/d.sock")
        try:
            yield own
        finally:
            own.end()


@contextlib.contextmanager
def containerd():
    need_programs("containerd", "containerd-shim-runc-v2", "runc")
    with tempfile.TemporaryDirectory(prefix="hs-containerd") as folder:
        config = pathlib.Path(folder, "config.toml")
        absent = ", ".join(f'"io.containerd.{p}"' for p in ("grpc.v1.cri", "snapshotter.v1.aufs", "snapshotter.v1.btrfs",
                                                            "snapshotter.v1.devmapper", "snapshotter.v1.zfs"))
        config.write_text(f'version = 2\nroot = "{folder}/root"\nstate = "{folder}/state"\noom_score = 0\n'
                          f'disabled_plugins = [{absent}]\n[grpc]\naddress = "{folder}/c.sock"\n'
                          f'[ttrpc]\naddress = "{folder}/t.sock"\n')
        own = Daemon(folder, ["containerd", "--config", config], f"{folder}/c.sock")
        try:
            yield own
        finally:
            own.end()
