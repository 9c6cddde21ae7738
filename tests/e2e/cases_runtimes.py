"""What makes a node's containers, where their images come from, and how idle ones rest."""
import contextlib
import os
import signal
import subprocess

from cases_images import ONLY_CONTAINER, SERVER, check_server, oci_layout, server_layers
from daemons import containerd, docker_engine, need_programs, registry
from node import BIN, Skip, deploy, need_root, node, wait_for, write_function

QUICK_FREEZE = '[scale]\nfreeze_after = "50ms"\nkeep_alive = "10m"\n'


def frozen(own, name="fixture"):
    return own.status(name)["containers"]["frozen"]


def test_an_idle_container_is_frozen_and_answers_its_next_request():
    need_root()
    with node(ONLY_CONTAINER) as own:
        deploy(own, wasm=False, container=True, manifest=QUICK_FREEZE)
        for _ in range(5):
            answer = own.get("/function/fixture/")
            assert (answer.status, answer.body) == (200, b"hello\n"), answer
            wait_for("the container to be frozen", lambda: frozen(own) == 1)
        assert "1 container (1 frozen)" in own.cli("describe", "fixture").stdout
        metrics = own.metrics()
        assert 'hybridserve_containers{state="frozen"} 1' in metrics, metrics
        assert "hybridserve_thaw_seconds_count 4" in metrics, metrics
        assert own.status("fixture")["containers"]["boot_us"] > 0


def test_a_frozen_container_outlives_the_server():
    need_root()
    with node(ONLY_CONTAINER) as own:
        deploy(own, wasm=False, container=True, manifest=QUICK_FREEZE)
        assert own.get("/function/fixture/").status == 200
        wait_for("the container to be frozen", lambda: frozen(own) == 1)
        before = own.processes("hybridserve-server")[0]
        os.kill(before, signal.SIGKILL)
        wait_for("another server", lambda: [p for p in own.processes("hybridserve-server") if p != before])
        own.wait_ready()
        wait_for("the container to be adopted", lambda: own.status("fixture")["containers"]["ready"] == 1)
        assert own.get("/function/fixture/").status == 200
        assert "hybridserve_boots_total{" not in own.metrics(), "the container was adopted, none was started"
        wait_for("the container to be frozen again", lambda: frozen(own) == 1)


def layout(folder):
    for name, data in oci_layout(server_layers(), SERVER).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


def referring(own, reference):
    folder = write_function(own, wasm=False)
    (folder / "function.toml").write_text(
        f'name = "fixture"\n[container]\nimage = "docker://{reference}"\n[environment]\nBOTH = "manifest"\n')
    return folder


def test_an_image_comes_from_a_registry_by_tag_and_by_digest():
    need_root()
    with registry() as images, node(ONLY_CONTAINER) as own:
        digest = images.push(layout(own.folder / "layout"), "edge/hello:1")
        host = f"127.0.0.1:{images.port}"
        own.cli("deploy", referring(own, f"{host}/edge/hello:1"))
        check_server(own)
        again = own.cli("deploy", referring(own, f"{host}/edge/hello:1"))
        assert "nothing changed" in again.stdout, "what comes twice is the same bytes"

        unknown = own.cli("deploy", referring(own, f"{host}/edge/hello:2"), check=False)
        assert unknown.returncode != 0, unknown
        assert "hello:2" in unknown.stderr and "manifest unknown" in unknown.stderr, unknown.stderr
        check_server(own)

        own.cli("remove", "fixture")
        own.cli("deploy", referring(own, f"{host}/edge/hello@{digest}"))
        check_server(own)


def test_a_registry_that_is_away_is_said_to_be():
    need_root()
    with registry() as images, node(ONLY_CONTAINER) as own:
        images.end()
        refused = own.cli("deploy", referring(own, f"127.0.0.1:{images.port}/edge/hello:1"), check=False)
        assert refused.returncode != 0 and "connection refused" in refused.stderr, refused
        assert own.functions() == []


def test_a_reference_that_is_none_is_refused_before_anything_is_fetched():
    with node(ONLY_CONTAINER, wait=True) as own:
        for reference in ("", "a;reboot", "a b", "-x", "$(id)"):
            refused = own.cli("deploy", referring(own, reference), check=False)
            assert refused.returncode != 0 and "is no image reference" in refused.stderr, refused


@contextlib.contextmanager
def runtime(kind):
    """The node's [container] settings for a runtime of the operator's."""
    need_root()
    if kind in ("crun", "runc"):
        need_programs(kind)
        yield {"runtime": kind}
    elif kind == "docker":
        with docker_engine() as daemon:
            yield {"runtime": kind, "runtime_address": str(daemon.socket)}
    else:
        with containerd() as daemon:
            yield {"runtime": kind, "runtime_address": str(daemon.socket)}


@contextlib.contextmanager
def node_with(kind):
    with runtime(kind) as container, node(ONLY_CONTAINER | {"container": container}) as own:
        if not own.info["containers"]:
            raise Skip(own.info["containers_why_not"])
        yield own


def serves(own, seconds=20):
    """Waits until it answers: while an agent starts again, a request is refused."""
    answer = wait_for("an answer", lambda: (lambda a: a if a.status == 200 else None)(own.get("/function/fixture/")), seconds)
    assert answer.body == b"hello\n" and answer.backend == "container", answer


def check_runtime(kind):
    """A function's life in containers of this runtime: from deploy to remove, and every process's death but its own."""
    with node_with(kind) as own:
        assert own.info["container_runtime"] == kind, own.info
        assert f"containers by {kind} (it is configured)" in own.output(), own.output()
        deploy(own, wasm=False, container=True, manifest=QUICK_FREEZE + '[environment]\nA = "b"\n')
        serves(own)
        assert b"A=b" in own.get("/function/fixture/env").body
        wait_for("the container to be frozen", lambda: frozen(own) == 1)
        serves(own)

        agent = own.processes("hybridserve-agent")[0]
        os.kill(agent, signal.SIGKILL)
        wait_for("another agent", lambda: own.processes("hybridserve-agent") not in ([], [agent]))
        serves(own)
        server = own.processes("hybridserve-server")[0]
        os.kill(server, signal.SIGKILL)
        wait_for("another server", lambda: [p for p in own.processes("hybridserve-server") if p != server])
        own.wait_ready()
        serves(own)
        assert "hybridserve_boots_total{" not in own.metrics(), "the container was adopted, none was started"

        own.get("/function/fixture/exit?code=3")
        serves(own)
        own.cli("remove", "fixture")
        assert own.get("/function/fixture/").status == 404


def test_crun_makes_a_nodes_containers():
    check_runtime("crun")


def test_runc_makes_a_nodes_containers():
    check_runtime("runc")


def test_containerd_makes_a_nodes_containers():
    check_runtime("containerd")


def test_docker_makes_a_nodes_containers():
    check_runtime("docker")


def test_a_daemon_that_is_away_is_waited_for():
    with runtime("containerd") as container, containerd() as daemon:
        daemon.end()
        container["runtime_address"] = str(daemon.socket)
        with node({"policy": {"default": "paper"}, "container": container}) as own:
            deploy(own, container=True)
            assert own.get("/function/fixture/").backend == "wasm"
            wait_for("the node to say so", lambda: "cannot reach containerd at" in own.output())
            daemon.start()
            wait_for("a container to answer", lambda: own.get("/function/fixture/").backend == "container", 30)


def test_a_runtime_that_is_not_there_leaves_wasm_and_says_why():
    need_root()
    for kind, words in (("docker", "there is no socket"), ("crun", "there is no program crun on the path")):
        with contextlib.ExitStack() as stack:
            path = os.environ["PATH"]
            stack.callback(os.environ.__setitem__, "PATH", path)
            os.environ["PATH"] = "/nowhere"
            if kind == "docker" and os.path.exists("/run/docker.sock"):
                continue
            with node({"container": {"runtime": kind}}) as own:
                assert not own.info["containers"] and words in own.info["containers_why_not"], own.info
                assert words in own.output(), own.output()
    refused = subprocess.run([BIN / "hybridserve", "serve", "--containers", "podman"], capture_output=True, text=True)
    assert refused.returncode != 0 and "podman" in refused.stderr and "containerd" in refused.stderr, refused
