"""Images: every archive format that is promised, hostile and broken ones, and stdin/stdout programs."""
import concurrent.futures
import hashlib
import io
import json
import os
import platform
import socket
import tarfile

from cases_bad_input import refused_deploy
from node import command_of, deploy, descendants, fixture, need_root, node, wait_for, write_function

ARCHITECTURE = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
ONLY_CONTAINER = {"policy": {"default": "container-only"}}


def tar(*entries):
    """A tar of (name, content) files; content may be bytes or a ready TarInfo's keyword changes."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, content in entries:
            info = tarfile.TarInfo(name)
            if isinstance(content, dict):
                for key, value in content.items():
                    setattr(info, key, value)
                archive.addfile(info)
            else:
                info.size, info.mode = len(content), 0o755
                archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


def digest(data):
    return hashlib.sha256(data).hexdigest()


def config_of(layers, settings, architecture=ARCHITECTURE):
    return json.dumps({"architecture": architecture, "os": "linux", "config": settings,
                       "rootfs": {"type": "layers", "diff_ids": ["sha256:" + digest(l) for l in layers]}}).encode()


def docker_save(layers, settings):
    """What `docker save` wrote before version 25."""
    config = config_of(layers, settings)
    manifest = [{"Config": digest(config) + ".json", "RepoTags": ["e2e:latest"],
                 "Layers": [f"{i}/layer.tar" for i in range(len(layers))]}]
    return tar((digest(config) + ".json", config), ("manifest.json", json.dumps(manifest).encode()),
               *((f"{i}/layer.tar", layer) for i, layer in enumerate(layers)))


def oci_layout(layers, settings, architecture=ARCHITECTURE):
    """The files of an OCI image layout, by name."""
    blobs = {}

    def blob(data, kind):
        blobs[f"blobs/sha256/{digest(data)}"] = data
        return {"mediaType": f"application/vnd.oci.image.{kind}", "digest": f"sha256:{digest(data)}",
                "size": len(data)}

    manifest = json.dumps({"schemaVersion": 2,
                           "config": blob(config_of(layers, settings, architecture), "config.v1+json"),
                           "layers": [blob(layer, "layer.v1.tar") for layer in layers]}).encode()
    entry = blob(manifest, "manifest.v1+json") | {"platform": {"os": "linux", "architecture": architecture}}
    return {**blobs, "oci-layout": b'{"imageLayoutVersion":"1.0.0"}',
            "index.json": json.dumps({"schemaVersion": 2, "manifests": [entry]}).encode()}


def server_layers():
    """Two layers: the tests' server, a file and one that the second layer takes away again."""
    server = fixture("native").read_bytes()
    return [tar(("bin/server", server), ("etc/marker", b"from the image"), ("etc/gone", b"never seen")),
            tar(("etc/.wh.gone", b""))]


SERVER = {"Entrypoint": ["/bin/server"], "Env": ["FROM_IMAGE=yes", "BOTH=image"], "User": "1000:1000"}


def image_function(own, name="fixture"):
    """A function's folder whose image is still to be put there, as image.tar."""
    folder = write_function(own, name, wasm=False)
    (folder / "function.toml").write_text(
        f'name = "{name}"\n[container]\nimage = "image.tar"\n[environment]\nBOTH = "manifest"\n')
    return folder


def check_server(own):
    assert own.get("/function/fixture/").body == b"hello\n"
    assert own.get("/function/fixture/read?path=/etc/marker").body == b"from the image"
    assert own.get("/function/fixture/read?path=/etc/gone").status == 403
    variables = own.get("/function/fixture/env").body.decode().splitlines()
    assert {"FROM_IMAGE=yes", "BOTH=manifest"} <= set(variables), variables
    assert own.get("/function/fixture/write?path=/etc/marker").status == 403, "the root is read-only"


def test_docker_save_archive_deploys_and_serves():
    need_root()
    with node(ONLY_CONTAINER) as own:
        folder = image_function(own)
        (folder / "image.tar").write_bytes(docker_save(server_layers(), SERVER))
        own.cli("deploy", folder)
        check_server(own)


def test_oci_archive_and_layout_folder_deploy_and_serve():
    need_root()
    files = oci_layout(server_layers(), SERVER)
    with node(ONLY_CONTAINER) as own:
        folder = image_function(own)
        (folder / "image.tar").write_bytes(tar(*files.items()))
        own.cli("deploy", folder)
        check_server(own)
        own.cli("remove", "fixture")
        (folder / "image.tar").unlink()
        for name, data in files.items():
            path = folder / "image.tar" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        own.cli("deploy", folder)
        check_server(own)


def test_hostile_and_broken_images_are_refused_by_name():
    need_root()
    good = server_layers()
    damaged = bytearray(tar(*oci_layout(good, SERVER).items()))
    damaged[damaged.find(b"from the image")] ^= 1
    secret = {"type": tarfile.SYMTYPE, "linkname": "../../../../../../tmp"}
    cases = {
        "dotdot": (docker_save([tar(("../../escaped", b"x"))], SERVER), ".."),
        "absolute": (docker_save([tar(("/escaped", b"x"))], SERVER), "absolute"),
        "link": (docker_save([tar(("out", secret), ("out/hybridserve-escaped", b"x"))], SERVER), "leads nowhere"),
        "hardlink": (docker_save([tar(("a", {"type": tarfile.LNKTYPE, "linkname": "../../etc/passwd"}))], SERVER),
                     ".."),
        "damaged": (bytes(damaged), "damaged"),
        "truncated": (docker_save(good, SERVER)[:200_000], "truncated"),
        "other": (tar(*oci_layout(good, SERVER, "s390x").items()), "linux/s390x"),
        "empty": (tar(), "not an image"),
    }
    with node(ONLY_CONTAINER) as own:
        for name, (archive, word) in cases.items():
            folder = image_function(own, name)
            (folder / "image.tar").write_bytes(archive)
            refused_deploy(own, folder, word)
        assert not os.path.exists("/tmp/hybridserve-escaped")
        # The launcher removes what was unpacked after it has answered.
        images = own.state / "images"
        wait_for("the store of images to be empty", lambda: not images.exists() or not list(images.iterdir()))


def stdio_function(own, **options):
    """The tests' function as a program that reads stdin and writes stdout, on both sides."""
    return deploy(own, container="stdio", **options)


def both(own, path, **options):
    return [own.get(path, headers={"HybridServe-Route": route, **options.pop("headers", {})}, **options)
            for route in ("wasm-only", "container-only")]


def test_stdio_program_answers_as_its_wasm_build_does():
    need_root()
    with node({"policy": {"allow_route_header": True}}) as own:
        stdio_function(own)
        for size in (0, 1, 70_000, 1_000_000):
            body = bytes(i % 251 for i in range(size))
            answers = both(own, "/function/fixture/echo", method="POST", body=body)
            assert [(a.status, a.body, a.backend) for a in answers] == [
                (200, body, "wasm"), (200, body, "container")], (size, answers)
        for path, word in (("exit?code=42", "42"), ("badcgi", "this is no header")):
            for answer in both(own, f"/function/fixture/{path}"):
                assert answer.status == 502 and word in answer.error, (path, answer)
        environments = [dict(line.split("=", 1) for line in a.body.decode().splitlines())
                        for a in both(own, "/function/fixture/env?a=b%20c")]
        for variables in environments:
            variables.pop("HTTP_HYBRIDSERVE_ROUTE", None)
            variables.pop("HTTP_X_REQUEST_ID", None)  # each request has its own
        wasm, container = environments
        differing = {name for name in wasm if wasm[name] != container.get(name)}
        assert differing == set(), {name: (wasm[name], container.get(name)) for name in differing}


def test_stdio_program_gets_a_chunked_body_with_its_length():
    need_root()
    with node(ONLY_CONTAINER) as own:
        stdio_function(own)
        answer = own.get("/function/fixture/echo", method="POST", body=iter([b"abc", b"de"]))
        assert (answer.status, answer.body) == (200, b"abcde"), answer


def test_client_that_goes_away_ends_its_stdio_program():
    need_root()
    with node(ONLY_CONTAINER) as own:
        stdio_function(own)
        assert own.get("/function/fixture/").status == 200

        def programs():
            return [p for p in descendants(own.process.pid) if command_of(p).startswith("/function")]

        client = socket.create_connection((own.host, own.port))
        client.sendall(b"GET /function/fixture/spin HTTP/1.1\r\nHost: a\r\n\r\n")
        wait_for("the program to run", programs)
        client.close()
        wait_for("the program to end", lambda: not programs(), 5)


def test_sigterm_finishes_what_runs_in_containers():
    need_root()
    with node(ONLY_CONTAINER) as own:
        deploy(own, container=True)
        assert own.get("/function/fixture/").status == 200
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            pending = [pool.submit(own.get, "/function/fixture/sleep?ms=800") for _ in range(2)]
            wait_for("both to run", lambda: own.status("fixture")["containers"]["busy_slots"] == 2)
            own.terminate()
            answers = [p.result(20) for p in pending]
        assert [a.status for a in answers] == [200, 200], answers
        assert own.process.wait(20) == 0, own.output()
