"""Where requests run: Wasm at once, the warm container, the surplus, scale to zero, policies."""
import concurrent.futures
import re

from node import Skip, deploy, need_root, node, wait_for  # noqa: F401

SHORT = '\n[scale]\nkeep_alive = "300ms"\nslots = 2'


def until_container(own, name="fixture", path="/"):
    """Sends requests until the container answers one; returns that answer."""
    def container():
        answer = own.get(f"/function/{name}{path}")
        assert answer.status == 200, answer
        return answer if answer.backend == "container" else None
    return wait_for("the container to answer", container)


def test_first_request_is_answered_by_wasm_then_by_the_container():
    need_root()
    with node() as own:
        deploy(own, container=True)
        first = own.get("/function/fixture/")
        assert (first.status, first.body, first.backend, first.start) == (200, b"hello\n", "wasm", "cold"), first
        assert first.reason == "no-warm-container", first
        then = until_container(own)
        assert (then.body, then.reason, then.start) == (b"hello\n", "warm-container", "warm"), then
        for header in ("Server-Timing", "X-Request-Id"):
            assert then.headers[header], header
        assert re.fullmatch(r"queue;dur=[\d.]+, start;dur=[\d.]+, run;dur=[\d.]+", then.headers["Server-Timing"])


def test_second_request_to_wasm_is_warm():
    with node({"policy": {"default": "wasm-only"}}) as own:
        deploy(own)
        assert own.get("/function/fixture/").start == "cold"
        again = own.get("/function/fixture/")
        assert (again.start, again.reason) == ("warm", "policy-wasm-only"), again


def test_surplus_over_the_containers_slots_goes_to_wasm():
    need_root()
    with node() as own:
        deploy(own, container=True, manifest='\n[scale]\nslots = 2\nmax_containers = 1')
        until_container(own)
        with concurrent.futures.ThreadPoolExecutor(6) as pool:
            answers = list(pool.map(lambda _: own.get("/function/fixture/sleep?ms=700"), range(6)))
        assert all(a.status == 200 for a in answers), answers
        backends = sorted(a.backend for a in answers)
        assert backends == ["container"] * 2 + ["wasm"] * 4, answers
        assert {a.reason for a in answers if a.backend == "wasm"} == {"container-busy"}


def test_idle_containers_and_code_go_away_and_come_back():
    need_root()
    with node() as own:
        deploy(own, container=True, manifest=SHORT)
        until_container(own)
        wait_for("scale to zero", lambda: own.containers("fixture") == 0 and not own.status("fixture")["wasm_loaded"])
        assert own.processes("/function") == []
        again = own.get("/function/fixture/")
        assert (again.status, again.backend, again.start) == (200, "wasm", "cold"), again
        until_container(own)


def test_policy_of_the_node_the_function_and_the_request():
    need_root()
    with node({"policy": {"default": "wasm-only", "allow_route_header": True}}) as own:
        deploy(own, "plain", container=True)
        deploy(own, "native", container=True, manifest='policy = "container-only"')
        plain = own.get("/function/plain/")
        assert (plain.backend, plain.reason) == ("wasm", "policy-wasm-only"), plain
        native = own.get("/function/native/")
        assert (native.status, native.backend, native.start) == (200, "container", "cold"), native
        assert native.reason == "policy-container-only"
        asked = own.get("/function/plain/", headers={"HybridServe-Route": "container-only"})
        assert (asked.backend, asked.reason) == ("container", "route-header"), asked
        back = own.get("/function/native/", headers={"HybridServe-Route": "wasm-only"})
        assert (back.backend, back.reason) == ("wasm", "route-header"), back
        wrong = own.get("/function/plain/", headers={"HybridServe-Route": "fastest"})
        assert wrong.status == 400 and "fastest" in wrong.error, wrong


def test_route_header_is_refused_where_the_node_does_not_allow_it():
    with node() as own:
        deploy(own)
        answer = own.get("/function/fixture/", headers={"HybridServe-Route": "wasm-only"})
        assert answer.status == 403 and "HybridServe-Route" in answer.error, answer


def test_host_names_route_to_their_function():
    with node() as own:
        deploy(own, manifest='hosts = ["fixture.example"]')
        answer = own.get("/echo", method="POST", body=b"by host", headers={"Host": "fixture.example"})
        assert (answer.status, answer.body) == (200, b"by host"), answer
        assert own.get("/echo", headers={"Host": "other.example"}).status == 404


def test_both_builds_see_the_same_request():
    need_root()
    with node({"policy": {"allow_route_header": True}}) as own:
        deploy(own, container=True)
        for size in (0, 1, 1000, 70_000, 1_000_000):
            body = bytes(i % 251 for i in range(size))
            for route in ("wasm-only", "container-only"):
                answer = own.get("/function/fixture/echo", method="POST", body=body,
                                 headers={"HybridServe-Route": route})
                assert (answer.status, answer.body) == (200, body), (route, size, answer)


def test_both_builds_write_read_and_list_tmp_equally():
    need_root()
    with node({"policy": {"allow_route_header": True}}) as own:
        deploy(own, container=True)
        answers = [own.get("/function/fixture/tmp", headers={"HybridServe-Route": route})
                   for route in ("wasm-only", "container-only", "wasm-only", "container-only")]
        want = (b"0 10 3 10 '0123456789' 0 0 50 0 1\n. .. a b c \n. .. c d \n0 1 0\n")
        assert {a.body for a in answers} == {want}, answers
        assert {a.backend for a in answers} == {"wasm", "container"}


def test_fresh_instance_serves_each_request():
    with node() as own:
        deploy(own)
        connection = own.connection()
        counts = {own.get("/function/fixture/counter", connection=connection).body for _ in range(20)}
        assert counts == {b"1\n"}, counts


def test_metrics_carry_the_invocations():
    need_root()
    with node() as own:
        deploy(own, container=True)
        until_container(own)
        measured = r'hybridserve_memory_bytes\{part="%s"\} [1-9]\d{5,}'
        wait_for("the containers to be measured", lambda: re.search(measured % "containers", own.metrics()))
        text = own.metrics()
        for part in ("server", "executors"):
            assert re.search(measured % part, text), (part, text[-2000:])
        for name in ("hybridserve_invocations_total", "hybridserve_queue_seconds", "hybridserve_start_seconds",
                     "hybridserve_run_seconds", "hybridserve_total_seconds", "hybridserve_containers",
                     "hybridserve_boots_total", "hybridserve_memory_bytes"):
            assert re.search(rf"^{name}", text, re.M), f"{name} is missing in:\n{text[:3000]}"
        cold = re.search(r'hybridserve_invocations_total\{[^}]*backend="wasm"[^}]*\} (\d+)', text)
        assert cold and int(cold[1]) >= 1, text[:2000]
        on_gateway = own.get("/metrics")
        assert on_gateway.status == 200 and b"hybridserve_invocations_total" in on_gateway.body


def test_without_root_it_serves_from_wasm_and_says_so():
    import os
    if os.geteuid() != 0:
        raise Skip("needs root to become another user")
    with node(user=65534) as own:
        assert "Wasm only" in own.output() or "no containers" in own.output().lower(), own.output()
        deploy(own, container=False)
        answer = own.get("/function/fixture/echo", method="POST", body=b"rootless")
        assert (answer.status, answer.body, answer.backend) == (200, b"rootless", "wasm"), answer
        # Without user namespaces there is no /tmp (docs/function-contract.md).
        jailed = "refuses user namespaces" not in own.output()
        answer = own.get("/function/fixture/fill")
        assert answer.body == (b"67043328 No space left on device\n" if jailed
                               else b"0 No such file or directory\n"), answer
