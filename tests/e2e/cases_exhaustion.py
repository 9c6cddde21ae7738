"""What takes too much is stopped at its limit with a clear error, and its neighbour lives."""
import concurrent.futures
import pathlib
import socket
import sys
import threading

from node import Skip, deploy, need_root, node, wait_for, write_function

sys.path.append(str(pathlib.Path(__file__).resolve().parent.parent / "walls"))
import slow_module

SHORT = '\n[limits]\nrun_timeout = "2s"\n'


def _neighbour_lives(own):
    assert own.get("/function/neighbour/").body == b"hello\n"


def test_a_fork_bomb_is_held_by_its_limit():
    need_root()
    with node() as own:
        deploy(own, "neighbour")
        deploy(own, "bomb", wasm=False, container=True, manifest=SHORT + "pids = 32\n")
        assert own.get("/function/bomb/").status == 200
        thread = threading.Thread(target=own.get, args=("/function/bomb/forkbomb",))
        thread.start()
        wait_for("the bomb to go off", lambda: len(own.processes("/function")) >= 24)
        _neighbour_lives(own)
        assert len(own.processes("/function")) <= 32
        thread.join()


def test_a_memory_bomb_is_an_error_and_its_neighbour_lives():
    need_root()
    with node() as own:
        deploy(own, "neighbour")
        deploy(own, "bomb", wasm=False, container=True, manifest='\n[limits]\nmemory = "32MiB"\n')
        answer = own.get("/function/bomb/grow")
        assert answer.status == 502, answer
        _neighbour_lives(own)


def test_a_guest_that_fills_its_tmp_gets_an_error_and_its_neighbour_has_its_own():
    with node() as own:
        deploy(own, "neighbour")
        deploy(own, "bomb", manifest='\n[limits]\ndisk = "8MiB"\n')
        full = f"{(8 << 20) - (64 << 10)} No space left on device\n".encode()
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            bombs = [pool.submit(own.get, "/function/bomb/fill") for _ in range(8)]
            neighbours = {own.get("/function/neighbour/tmp").body for _ in range(20)}
        assert {bomb.result().body for bomb in bombs} == {full}
        assert len(neighbours) == 1 and b". .. a b c" in neighbours.pop()
        assert own.get("/function/bomb/fill").body == full, "what the last left is gone"


def test_the_tmps_of_all_guests_together_are_bounded():
    with node({"wasm": {"memory": "128MiB"}}) as own:
        deploy(own, "neighbour")
        deploy(own, "bomb", manifest='\n[limits]\ndisk = "1GiB"\n')
        for _ in range(3):
            answer = own.get("/function/bomb/fill")
            assert answer.body == f"{32 << 20} No space left on device\n".encode(), answer
            _neighbour_lives(own)


def test_a_module_that_takes_too_long_to_compile_is_refused():
    with node({"wasm": {"compile_timeout": "1s"}}) as own:
        deploy(own, "neighbour")
        folder = write_function(own, "bomb", wasm=slow_module.make(20000, 1000, 1))
        refused = own.cli("deploy", folder, check=False)
        assert refused.returncode != 0 and "wasm.compile_timeout" in refused.stderr, refused.stderr
        assert own.functions() == ["neighbour"]
        _neighbour_lives(own)


def test_a_flood_of_log_lines_is_bounded():
    with node() as own:
        deploy(own, "flood")
        assert own.get(f"/function/flood/flood?fd=2&n={64 << 20}").status == 200
        kept = own.cli("logs", "flood").stdout
        assert 0 < len(kept) <= 256 << 10, len(kept)


def test_a_body_that_trickles_in_is_cut():
    with node({"gateway": {"body_timeout": "500ms", "min_rate": 1000}}) as own:
        deploy(own, "slow")
        with socket.create_connection((own.host, own.port), 20) as client:
            client.sendall(b"POST /function/slow/count HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
            client.settimeout(0.05)
            answer = b""

            def trickle():
                nonlocal answer
                try:
                    client.sendall(b"1\r\nb\r\n")
                    answer += client.recv(4096)
                except TimeoutError:
                    pass
                return answer
            wait_for("the body to be cut", trickle)
        assert answer.startswith(b"HTTP/1.1 408 ") and b"gateway.min_rate" in answer, answer


def test_container_that_overruns_a_request_is_ended_with_all_it_runs():
    need_root()
    with node() as own:
        if not own.info["containers"]:
            raise Skip("this machine runs no containers")
        deploy(own, "bomb", container=True, wasm=False, command=["evil"],
               manifest='\n[limits]\nrun_timeout = "1s"\n[scale]\nkeep_alive = "1h"\n')
        assert own.get("/function/bomb/").status == 200
        assert own.processes("/function evil")
        assert own.get("/function/bomb/forkbomb").status == 504
        wait_for("the fork bomb to be gone", lambda: not own.processes("/function evil"), 10)
        assert own.get("/function/bomb/").status == 200
