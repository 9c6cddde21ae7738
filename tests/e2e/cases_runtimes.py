"""What makes a node's containers, where their images come from, and how idle ones rest."""
import os
import signal

from cases_images import ONLY_CONTAINER, SERVER, check_server, oci_layout, server_layers
from daemons import registry
from node import deploy, need_root, node, wait_for, write_function

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
