"""Bad input: each is a clear error that names the cause and changes nothing."""
import contextlib
import socket
import subprocess
import time

from cases_routing import until_container  # noqa: F401
from node import BIN, Node, deploy, fixture, need_root, node, wait_for, wat, write_function

EMPTY_START = '(module (memory (export "memory") 1) (func (export "_start")))'


def refused_deploy(own, folder, *words):
    """Deploys what must be refused; the message holds every word; nothing changes."""
    before = own.functions()
    result = own.cli("deploy", folder, check=False)
    assert result.returncode != 0, result.stdout
    for word in words:
        assert word.lower() in result.stderr.lower(), f"{word!r} is not in: {result.stderr}"
    assert own.functions() == before
    return result


def test_deploy_refuses_what_is_no_wasm_module():
    with node() as own:
        refused_deploy(own, write_function(own, wasm=b"#!/bin/sh\necho hello\n"), "not a wasm")


def test_deploy_refuses_a_truncated_module():
    module = fixture("wasm").read_bytes()
    with node() as own:
        for size in (len(module) - 700, 100):
            refused_deploy(own, write_function(own, wasm=module[:size]), "the module", "cut off", f"{size} bytes")


def test_deploy_refuses_unknown_imports_and_names_them():
    module = wat('(module (import "env" "open_door" (func)) (memory (export "memory") 1) (func (export "_start")))')
    with node() as own:
        refused_deploy(own, write_function(own, wasm=module), "env", "open_door")


def test_deploy_refuses_memory_over_the_limit():
    module = wat('(module (memory (export "memory") 1024) (func (export "_start")))')
    with node() as own:
        refused_deploy(own, write_function(own, wasm=module, manifest='\n[limits]\nmemory = "32MiB"'), "memory")


def test_deploy_refuses_a_module_without_start():
    with node() as own:
        refused_deploy(own, write_function(own, wasm=wat('(module (memory (export "memory") 1))')), "_start")


def test_guest_that_grows_over_its_limit_is_stopped():
    with node() as own:
        deploy(own, manifest='\n[limits]\nmemory = "16MiB"')
        answer = own.get("/function/fixture/grow")
        assert answer.status == 200 and int(answer.body) < 16 << 20, answer


def test_guest_that_loops_gets_504_at_its_run_timeout():
    with node() as own:
        deploy(own, manifest='\n[limits]\nrun_timeout = "300ms"')
        started = time.monotonic()
        answer = own.get("/function/fixture/spin")
        assert answer.status == 504 and "run" in answer.error and "300" in answer.error, answer
        assert time.monotonic() - started < 5
        assert own.get("/function/fixture/").status == 200


def test_guest_that_sleeps_too_long_gets_504():
    with node() as own:
        deploy(own, manifest='\n[limits]\nrun_timeout = "300ms"')
        answer = own.get("/function/fixture/sleep?ms=60000")
        assert answer.status == 504 and "run" in answer.error, answer


def test_guest_that_traps_gets_502_with_the_cause():
    with node() as own:
        deploy(own)
        answer = own.get("/function/fixture/trap")
        assert answer.status == 502 and "unreachable" in answer.error, answer


def test_guest_that_exits_non_zero_gets_502_with_the_status():
    with node() as own:
        deploy(own)
        answer = own.get("/function/fixture/exit?code=42")
        assert answer.status == 502 and "42" in answer.error, answer


def test_guest_that_writes_bad_cgi_headers_gets_502_with_the_line():
    with node() as own:
        deploy(own)
        answer = own.get("/function/fixture/badcgi")
        assert answer.status == 502 and "this is no header" in answer.error, answer


def test_answer_over_the_limit_gets_502():
    with node() as own:
        deploy(own, manifest='\n[limits]\nresponse = "64KiB"')
        assert own.get("/function/fixture/bytes?n=60000").status == 200
        answer = own.get("/function/fixture/bytes?n=70000")
        assert answer.status == 502 and "65536" in answer.error.replace("64 KiB", "65536"), answer


def test_image_that_never_listens_is_named_and_wasm_goes_on():
    need_root()
    manifest = '\n[limits]\nstart_timeout = "400ms"'
    with node({"policy": {"allow_route_header": True}}) as own:
        deploy(own, container=True, command=["never-listens"], manifest=manifest)
        answer = own.get("/function/fixture/", headers={"HybridServe-Route": "container-only"})
        assert answer.status in (502, 504) and "listen" in answer.error, answer
        assert "about to sleep" in answer.error or "about to sleep" in own.cli("logs", "fixture").stdout, answer
        assert own.get("/function/fixture/", headers={"HybridServe-Route": "wasm-only"}).status == 200


def test_image_that_exits_is_named_with_its_status_and_output():
    need_root()
    with node() as own:
        deploy(own, container=True, wasm=False, command=["exits"])
        answer = own.get("/function/fixture/")
        assert answer.status in (502, 503) and "7" in answer.error and "configuration" in answer.error, answer


def test_deploy_refuses_an_image_that_is_none():
    need_root()
    with node() as own:
        folder = write_function(own, container=True)
        (folder / "image.tar").write_bytes(b"not a tar" * 1000)
        refused_deploy(own, folder, "image")


def test_unknown_function_gets_404_that_names_it():
    with node() as own:
        answer = own.get("/function/nobody/")
        assert answer.status == 404 and "nobody" in answer.error, answer
        for arguments in (["describe", "nobody"], ["remove", "nobody"], ["rollback", "nobody"], ["logs", "nobody"]):
            result = own.cli(*arguments, check=False)
            assert result.returncode == 3 and "nobody" in result.stderr, (arguments, result)


def test_manifest_errors_name_file_line_and_key():
    with node() as own:
        folder = write_function(own, manifest='\n[limits]\nmemroy = "1MiB"')
        result = refused_deploy(own, folder, "function.toml", "memroy", "memory")
        assert ":" in result.stderr and result.returncode == 2
        folder = write_function(own, manifest='\n[limits]\nmemory = "12 parsecs"')
        refused_deploy(own, folder, "function.toml", "12 parsecs")


def test_names_with_a_slash_or_300_bytes_are_refused():
    with node() as own:
        for name in ("a/b", "a" * 300, "Upper", "..", ""):
            refused_deploy(own, write_function(own, name), "name")
            answer = own.admin("POST", "/v1/functions", {"manifest": {"name": name, "wasm": {"module": "x"}}})
            assert answer.status == 400, answer
        answer = own.get("/function/" + "a" * 300 + "/")
        assert answer.status == 400 and "300 bytes" in answer.error and len(answer.body) < 1000, answer


def test_body_over_the_limit_gets_413():
    with node() as own:
        deploy(own, manifest='\n[limits]\nbody = "1000"')
        assert own.get("/function/fixture/echo", method="POST", body=b"x" * 1000).status == 200
        answer = own.get("/function/fixture/echo", method="POST", body=b"x" * 1001)
        assert answer.status == 413 and "1000" in answer.error, answer
        chunked = own.get("/function/fixture/echo", method="POST", body=iter([b"x" * 600, b"x" * 600]))
        assert chunked.status == 413, chunked


def test_port_in_use_is_a_clear_error():
    taken = socket.socket()
    taken.bind(("127.0.0.1", 0))
    taken.listen()
    port = taken.getsockname()[1]
    own = Node({"gateway": {"listen": f"127.0.0.1:{port}"}}, wait=False)
    try:
        own.process.wait(20)
        assert own.process.returncode == 5, (own.process.returncode, own.output())
        assert str(port) in own.output() and "in use" in own.output(), own.output()
    finally:
        own.close()
        taken.close()


def test_second_node_on_the_same_state_folder_is_refused():
    with node() as own:
        result = subprocess.run([BIN / "hybridserve", "serve", "--config", own.config, "--state-folder", own.state],
                                stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20)
        assert result.returncode == 5, result
        assert str(own.state) in result.stderr + result.stdout
        deploy(own)
        assert own.get("/function/fixture/").status == 200


def test_malformed_requests_are_answered_and_do_no_harm():
    with node() as own:
        deploy(own)
        for raw, status in ((b"GET / HTTP/1.1\r\nHost: a\r\nBad Header: x\r\n\r\n", b"400"),
                            (b"NONSENSE\r\n\r\n", b"400"),
                            (b"POST /function/fixture/echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n"
                             b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", b"400"),
                            (b"GET /function/fixture/ HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 100_000 + b"\r\n\r\n", b"431")):
            with socket.create_connection((own.host, own.port), 10) as client:
                with contextlib.suppress(OSError):
                    client.sendall(raw)
                line = b""
                with contextlib.suppress(OSError):
                    line = client.recv(4096).split(b"\r\n")[0]
                assert status in line, (raw[:60], line)
        assert own.get("/function/fixture/").status == 200


def test_full_queue_gets_429_with_retry_after():
    import concurrent.futures
    with node() as own:
        deploy(own, manifest='\n[limits]\nconcurrency = 1\nqueue = 1')
        with concurrent.futures.ThreadPoolExecutor(6) as pool:
            answers = list(pool.map(lambda _: own.get("/function/fixture/sleep?ms=500"), range(6)))
        codes = sorted(a.status for a in answers)
        assert codes == [200, 200, 429, 429, 429, 429], codes
        full = next(a for a in answers if a.status == 429)
        assert int(full.headers["Retry-After"]) >= 1 and "queue" in full.error


def test_waiting_too_long_gets_504_that_says_queue():
    import concurrent.futures
    with node() as own:
        deploy(own, manifest='\n[limits]\nconcurrency = 1\nqueue_timeout = "200ms"')
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            answers = list(pool.map(lambda _: own.get("/function/fixture/sleep?ms=1500"), range(2)))
        assert sorted(a.status for a in answers) == [200, 504], answers
        assert "queue" in next(a for a in answers if a.status == 504).error
