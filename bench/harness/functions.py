"""The benchmark's functions: their builds, their manifests and the answers they have to give."""
import hashlib
import io
import json
import os
import pathlib
import struct
import subprocess
import tarfile

from .node import Unavailable

SOURCES = pathlib.Path(__file__).resolve().parent.parent / "functions"
CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache")) / "hybridserve"

HELLO_ANSWER = b"hello, world\n"
SERVER_ANSWER = b"hello from a server\n"
SERVER_PORT = 8080
# Two pixels high and wide, the channels' means are whole numbers.
THUMBNAIL_IMAGE = b"P6 2 2 255\n" + bytes([0, 10, 20] * 4)
THUMBNAIL_ANSWER = b"2 x 2, mean colour 0.0 10.0 20.0\n"


def build_wasm(name, out, *flags):
    """Compiles functions/`name` to a WASI command and returns its bytes."""
    python = CACHE / "venv" / "bin" / "python"
    if not python.exists():
        raise Unavailable("the C compiler for Wasm (zig) is not installed: make setup")
    module = out / f"{name}.wasm"
    subprocess.run([python, "-m", "ziglang", "cc", "-target", "wasm32-wasi", "-O2", "-s",
                    "-Wl,-z,stack-size=131072", *flags, SOURCES / name / "main.c", "-o", module], check=True)
    return module.read_bytes()


def build_native(name, out):
    """Compiles functions/`name` to a static program and returns its bytes."""
    program = out / name
    subprocess.run(["gcc", "-O2", "-s", "-static", "-D_GNU_SOURCE", SOURCES / name / "main.c", "-o", program],
                   check=True)
    return program.read_bytes()


def add_file(archive, name, content, mode=0o644):
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(content), mode
    archive.addfile(entry, io.BytesIO(content))


def pack_image(program, tag):
    """An image of nothing but `program` as /function, as `docker save` writes it."""
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as archive:
        add_file(archive, "function", program, 0o755)
    layer = layer.getvalue()
    digest = hashlib.sha256(layer).hexdigest()
    config = json.dumps({
        "architecture": "amd64", "os": "linux",
        "config": {"Entrypoint": ["/function"], "Env": ["PATH=/"], "WorkingDir": "/"},
        "rootfs": {"type": "layers", "diff_ids": ["sha256:" + digest]},
        "history": [{"created_by": "bench"}]}).encode()
    config_name, layer_name = f"{hashlib.sha256(config).hexdigest()}.json", f"{digest}/layer.tar"
    manifest = [{"Config": config_name, "RepoTags": [tag], "Layers": [layer_name]}]
    image = io.BytesIO()
    with tarfile.open(fileobj=image, mode="w") as archive:
        add_file(archive, config_name, config)
        add_file(archive, layer_name, layer)
        add_file(archive, "manifest.json", json.dumps(manifest).encode())
    return image.getvalue()


def leb128(number):
    encoded = bytearray()
    while True:
        byte, number = number & 0x7F, number >> 7
        if not number:
            return bytes(encoded + bytearray([byte]))
        encoded.append(byte | 0x80)


def distinct(module, mark):
    """The same module with another digest: a custom section named after `mark` at its end."""
    name = f"bench-{mark}".encode()
    section = leb128(len(name)) + name + struct.pack("<Q", mark)
    return module + b"\0" + leb128(len(section)) + section


def wasm_manifest(name, keep_alive="1h", **more):
    return {"name": name, "policy": "wasm-only", "wasm": {"module": f"{name}.wasm"},
            "limits": {"memory": 16 << 20, "concurrency": 64, "queue": 1024},
            "scale": {"keep_alive": keep_alive}, **more}


def container_manifest(name, keep_alive="1h", min_warm=0, scale=None, **more):
    """A function that serves in containers alone, and is never frozen unless `scale` says so."""
    scale = scale or {"keep_alive": keep_alive, "min_warm": min_warm, "max_containers": 1, "slots": 4,
                      "freeze_after": "0ms"}
    return {"name": name, "policy": "container-only", "container": {"image": f"{name}.tar"},
            "limits": {"memory": 64 << 20}, "scale": scale, **more}
