"""Faults: what dies comes back, what is in flight is told, nothing acknowledged is lost."""
import concurrent.futures
import contextlib
import os
import pathlib
import signal
import socket
import sys
import tempfile
import threading
import time

from cases_routing import until_container
from node import ROOT, deploy, need_root, node, wait_for, wat, write_function


def resident_bytes(pid):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    return 0


def busy(own, name):
    return own.status(name)["containers"]["busy_slots"]


def server_pid(own):
    return own.processes("hybridserve-server")[0]


def test_killed_executor_fails_what_was_in_flight_and_is_back_at_once():
    with node({"policy": {"default": "wasm-only"}}) as own:
        deploy(own)
        own.get("/function/fixture/")
        executors = own.processes("hybridserve-executor-wasmtime")
        assert executors, "no executor is running"
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            pending = pool.submit(own.get, "/function/fixture/sleep?ms=20000")
            wait_for("the guest to run", lambda: own.status("fixture")["wasm_running"] == 1)
            for pid in executors:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            killed = time.monotonic()
            answer = pending.result(10)
        assert answer.status == 502 and "executor" in answer.error, answer
        again = wait_for("a new executor to answer",
                         lambda: (lambda a: a if a.status == 200 else None)(own.get("/function/fixture/")), 5)
        assert again.start == "cold", again
        print(f"back after {(time.monotonic() - killed) * 1000:.0f} ms")


def test_killed_server_comes_back_and_adopts_its_containers():
    need_root()
    with node() as own:
        deploy(own, container=True)
        until_container(own)
        containers = own.processes("/function")
        before = server_pid(own)
        port = own.port
        os.kill(before, signal.SIGKILL)
        wait_for("another server", lambda: [p for p in own.processes("hybridserve-server") if p != before])
        own.wait_ready()
        assert own.functions() == ["fixture"]
        answer = own.get("/function/fixture/")
        assert answer.status == 200, (answer, port)
        wait_for("the adopted container to answer", lambda: own.get("/function/fixture/").backend == "container")
        assert [p for p in containers if os.path.exists(f"/proc/{p}")] == containers


def test_container_that_dies_is_replaced_and_wasm_answers_meanwhile():
    need_root()
    with node() as own:
        deploy(own, container=True)
        until_container(own)
        answers = []
        for _ in range(3):
            answer = own.get("/function/fixture/exit?code=3", method="POST")
            answers.append(answer)
            if answer.backend == "container":
                break
        assert answers[-1].status == 502, answers
        assert own.get("/function/fixture/").status == 200
        until_container(own)


def kill(pids):
    assert pids, "nothing to kill"
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


@contextlib.contextmanager
def requests_in_flight(own):
    """A GET, a POST and a POST to an idempotent function; each has a function of its own."""
    target = "/function/{}/sleep?ms=1500"
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        yield [pool.submit(own.get, target.format("get")),
               pool.submit(own.get, target.format("post"), method="POST", body=b"x"),
               pool.submit(own.get, target.format("repeat"), method="POST", body=b"x")]


def deploy_for_retries(own):
    for name, manifest in (("get", ""), ("post", ""), ("repeat", "idempotent = true")):
        deploy(own, name, container=True, manifest=manifest)


def check_retries(pending, died, other):
    get, post, repeat = [p.result(20) for p in pending]
    for answer in (get, repeat):
        assert (answer.status, answer.body, answer.backend, answer.reason) == (200, b"slept\n", other, "retry"), answer
    assert (post.status, post.backend) == (502, died), post
    assert post.json()["error"]["code"] == "backend_died", post


def test_requests_of_a_killed_executor_are_run_once_more_where_that_does_no_harm():
    need_root()
    with node() as own:
        deploy_for_retries(own)
        with requests_in_flight(own) as pending:
            for name in ("get", "post", "repeat"):
                wait_for("the guest to run", lambda: own.status(name)["wasm_running"] == 1)  # noqa: B023
            kill(own.processes("hybridserve-executor-wasmtime"))
            check_retries(pending, "wasm", "container")
        metrics = own.get("/metrics").body.decode()
        assert 'hybridserve_retries_total{function="get",from="wasm"} 1' in metrics, metrics


def test_requests_of_a_killed_container_are_run_once_more_where_that_does_no_harm():
    need_root()
    with node() as own:
        deploy_for_retries(own)
        for name in ("get", "post", "repeat"):
            until_container(own, name)
        with requests_in_flight(own) as pending:
            for name in ("get", "post", "repeat"):
                wait_for("the container to have it", lambda: busy(own, name) == 1)  # noqa: B023
            kill(own.processes("/function"))
            check_retries(pending, "container", "wasm")


def test_a_request_is_run_once_more_and_not_twice():
    need_root()
    with node() as own:
        deploy(own, container=True)
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            pending = pool.submit(own.get, "/function/fixture/sleep?ms=5000")
            wait_for("the guest to run", lambda: own.status("fixture")["wasm_running"] == 1)
            kill(own.processes("hybridserve-executor-wasmtime"))
            wait_for("the container to have it", lambda: busy(own, "fixture") == 1)
            kill(own.processes("/function"))
            answer = pending.result(20)
        assert answer.status == 502 and "run again, on container" in answer.error, answer


def test_kills_in_random_order_lose_nothing_and_leave_nothing():
    need_root()
    sys.path[:0] = [str(ROOT / folder) for folder in ("tests/walls", "tests/walls/parts", "bench")]
    import kills
    from table import Table
    with tempfile.TemporaryDirectory() as folder:
        table = Table(folder)
        kills.run(table, 25)
        counts = {name: table.metrics[name] for name in ("requests_lost", "acknowledged_lost", "orphans_left")}
    assert table.metrics["faults_injected"] == 26 and not any(counts.values()), table.metrics


def test_client_that_goes_away_ends_its_guest():
    with node({"policy": {"default": "wasm-only"}}) as own:
        deploy(own)
        for path in ("/function/fixture/spin", "/function/fixture/sleep?ms=30000"):
            client = socket.create_connection((own.host, own.port))
            client.sendall(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
            wait_for("the guest to run", lambda: own.status("fixture")["wasm_running"] == 1)
            client.close()
            wait_for("the guest to end", lambda: own.status("fixture")["wasm_running"] == 0, 5)


def test_sigterm_finishes_what_is_in_flight():
    with node({"policy": {"default": "wasm-only"}}) as own:
        deploy(own)
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            pending = [pool.submit(own.get, "/function/fixture/sleep?ms=800") for _ in range(4)]
            wait_for("the guests to run", lambda: own.status("fixture")["wasm_running"] == 4)
            own.terminate()
            answers = [p.result(20) for p in pending]
        assert [a.status for a in answers] == [200] * 4, answers
        assert own.process.wait(20) == 0, own.output()


def test_sigterm_gives_a_deploy_up_after_drain_timeout():
    # Takes the compiler seconds.
    body = "local.get 0 i32.const 7 i32.mul local.set 0 " * 400
    functions = "".join(f"(func (param i32) (result i32) {body} local.get 0)" for _ in range(1500))
    module = wat(f'(module (memory (export "memory") 1) {functions} (func (export "_start")))')
    with node({"policy": {"default": "wasm-only"}, "gateway": {"drain_timeout": "50ms"}}) as own:
        folder = write_function(own, wasm=module)
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            deploying = pool.submit(own.cli, "deploy", folder, check=False)
            compiling = lambda: len(own.processes("executor-wasmtime compile")) > 0  # noqa: E731
            wait_for("the compiler to run", compiling)
            own.terminate()
            assert own.process.wait(20) == 0, own.output()
            assert deploying.result(20).returncode != 0
        assert "deploy" in own.output(), own.output()


def test_deploy_under_load_drops_no_request():
    with node({"policy": {"default": "wasm-only"}}) as own:
        folder = deploy(own)
        stop, failures, counts = threading.Event(), [], []

        def load():
            connection, count = own.connection(), 0
            while not stop.is_set():
                answer = own.get("/function/fixture/echo", method="POST", body=b"x", connection=connection)
                count += 1
                if (answer.status, answer.body) != (200, b"x"):
                    failures.append(repr(answer))
            counts.append(count)

        threads = [threading.Thread(target=load) for _ in range(4)]
        for thread in threads:
            thread.start()
        text = (folder / "function.toml").read_text()
        for turn in range(5):
            (folder / "function.toml").write_text(text + f'\n[environment]\nTURN = "{turn}"\n')
            own.cli("deploy", folder)
        stop.set()
        for thread in threads:
            thread.join()
        assert failures == [] and sum(counts) > 100, (failures[:3], counts)
        assert own.describe("fixture")["revision"] == 6
        assert b"TURN=4" in own.get("/function/fixture/env").body


def test_corrupted_native_code_is_compiled_anew_and_never_run():
    with node({"policy": {"default": "wasm-only"}}) as own:
        deploy(own)
        assert own.get("/function/fixture/").status == 200
        own.terminate()
        assert own.process.wait(30) == 0, own.output()
        own.log.close()
        files = [f for f in (own.state / "server" / "aot").rglob("*") if f.is_file() and f.stat().st_size > 4096]
        assert files, "no native code in the cache"
        corrupted = {}
        for file in files:
            data = bytearray(file.read_bytes())
            data[len(data) // 2] ^= 0xFF
            os.chmod(file, 0o600)
            file.write_bytes(data)
            corrupted[file] = bytes(data)
        own.start()
        answer = own.get("/function/fixture/")
        assert (answer.status, answer.body) == (200, b"hello\n"), answer
        for file, data in corrupted.items():
            assert not file.exists() or file.read_bytes() != data, f"{file} is still corrupted"


def test_bodies_stream_through_a_container_at_flat_memory():
    need_root()
    size = int(os.environ.get("HYBRIDSERVE_STREAM_MIB", "1024")) << 20
    manifest = '\n[limits]\nbody = "2GiB"\nrun_timeout = "5m"\nmemory = "64MiB"'
    with node({"policy": {"default": "container-only"}}) as own:
        deploy(own, container=True, manifest=manifest)
        own.get("/function/fixture/")
        pid = server_pid(own)
        before = resident_bytes(pid)
        peak = [before]
        done = threading.Event()

        def watch():
            while not done.wait(0.02):
                peak[0] = max(peak[0], resident_bytes(pid))

        watcher = threading.Thread(target=watch)
        watcher.start()
        piece = b"x" * (1 << 20)
        connection = own.connection(timeout=240)
        up = own.get("/function/fixture/count", method="POST", body=(piece for _ in range(size >> 20)),
                     headers={"Content-Length": str(size)}, connection=connection)
        assert (up.status, up.body) == (200, f"{size}\n".encode()), up
        connection.request("GET", f"/function/fixture/bytes?n={size}")
        response = connection.getresponse()
        total = 0
        while chunk := response.read(1 << 20):
            total += len(chunk)
        done.set()
        watcher.join()
        assert total == size, total
        assert peak[0] - before < 24 << 20, f"resident memory grew by {peak[0] - before} bytes"
        print(f"{size >> 20} MiB up and down, the server grew by {(peak[0] - before) >> 10} KiB")
