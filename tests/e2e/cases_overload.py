"""More than a function can take: the surplus is turned away, and nobody is left without an answer."""
import json
import pathlib
import subprocess

from node import BIN, deploy, need_root, node, wait_for

# At most 10 requests a second, and 200 a second come.
PATH = "/sleep?ms=100"
RATE, SECONDS = 200, 0.5
LIMITS = '[limits]\nconcurrency = 1\nqueue = 2\n[scale]\nslots = 1\nmax_containers = 1\nkeep_alive = "1h"\n'


def surplus(own, name):
    """Sends the surplus and checks that each request was served or told when to come back."""
    assert own.get(f"/function/{name}{PATH}").status == 200
    expected = pathlib.Path(own.folder) / "expected"
    expected.write_text("slept\n")
    result = subprocess.run(
        [BIN / "hybridserve-bench-client", "--connect", f"{own.host}:{own.port}", "--expect", expected, "--uniform",
         "--path", f"/function/{name}{PATH}", "--rate", str(RATE), "--seconds", str(SECONDS), "--connections", "200"],
        capture_output=True, text=True, check=True, timeout=120)
    outcome = json.loads(result.stdout)
    count = {fate: of["count"] for fate, of in outcome["fates"].items()}
    assert outcome["requests"] == RATE * SECONDS, outcome["requests"]
    assert count["ok"] > 0 and count["rejected"] > 0, count
    assert count["ok"] + count["rejected"] == RATE * SECONDS, count
    wait_for("the queue to be empty", lambda: own.status(name)["queued"] == 0)
    assert own.get(f"/function/{name}{PATH}").status == 200


def test_overload_of_wasm():
    with node() as own:
        deploy(own, manifest='policy = "wasm-only"\n' + LIMITS)
        surplus(own, "fixture")


def test_overload_of_container():
    need_root()
    with node() as own:
        deploy(own, wasm=False, container=True, manifest='policy = "container-only"\n' + LIMITS)
        surplus(own, "fixture")
