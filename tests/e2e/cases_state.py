"""State: revisions, rollback, secrets, folders, logs, what a restart keeps."""
import os
import tempfile
import pathlib

from node import deploy, need_root, node, wait_for, write_function


def test_rollback_returns_to_an_earlier_revision():
    with node({"policy": {"default": "wasm-only"}}) as own:
        folder = deploy(own)
        text = (folder / "function.toml").read_text()
        for version in ("two", "three"):
            (folder / "function.toml").write_text(text + f'\n[environment]\nVERSION = "{version}"\n')
            own.cli("deploy", folder)
        assert b"VERSION=three" in own.get("/function/fixture/env").body
        own.cli("rollback", "fixture")
        assert b"VERSION=two" in own.get("/function/fixture/env").body
        own.cli("rollback", "fixture", "--to", "1")
        assert b"VERSION" not in own.get("/function/fixture/env").body
        wrong = own.cli("rollback", "fixture", "--to", "99", check=False)
        assert wrong.returncode != 0 and "99" in wrong.stderr, wrong
        assert b"VERSION" not in own.get("/function/fixture/env").body


def test_restart_keeps_what_was_deployed():
    with node({"policy": {"default": "wasm-only"}}) as own:
        deploy(own, "one")
        deploy(own, "two")
        own.cli("remove", "two")
        own.terminate()
        assert own.process.wait(30) == 0, own.output()
        own.log.close()
        own.start()
        assert own.functions() == ["one"]
        assert own.get("/function/one/").status == 200
        assert own.get("/function/two/").status == 404


def test_deploying_the_same_again_changes_nothing():
    with node() as own:
        folder = deploy(own)
        own.cli("deploy", folder)
        assert own.describe("fixture")["revision"] == 1


def test_guest_sees_its_environment_and_nothing_of_the_host():
    with node({"policy": {"default": "wasm-only"}}) as own:
        deploy(own, manifest='\n[environment]\nGREETING = "hello"')
        answer = own.get("/function/fixture/env?a=b", headers={"X-Custom": "seen", "Proxy": "evil"})
        lines = answer.body.decode().splitlines()
        names = {line.split("=")[0] for line in lines}
        assert {"GREETING=hello", "HTTP_X_CUSTOM=seen", "QUERY_STRING=a=b", "PATH_INFO=/env",
                "REQUEST_METHOD=GET"} <= set(lines), lines
        assert "HTTP_PROXY" not in names and "HOME" not in names and "PATH" not in names, names
        for path in ("/etc/passwd", "/proc/self/environ", "../../etc/passwd"):
            assert own.get(f"/function/fixture/read?path={path}").status == 403


def test_granted_folders_are_all_that_a_guest_reaches():
    with tempfile.TemporaryDirectory() as host:
        os.chmod(host, 0o755)
        shared = pathlib.Path(host) / "shared"
        shared.mkdir()
        os.chmod(shared, 0o777)
        (shared / "file").write_text("granted")
        (pathlib.Path(host) / "secret").write_text("outside")
        os.symlink("../secret", shared / "link")
        grant = '\n[[folders]]\nhost = "{}"\nguest = "/data"\nwritable = {}\n'
        with node({"policy": {"default": "wasm-only"}, "wasm": {"allowed_folders": [str(shared)]}}) as own:
            deploy(own, "reader", manifest=grant.format(shared, "false"))
            assert own.get("/function/reader/read?path=/data/file").body == b"granted"
            for path in ("/data/../secret", "/data/link", "/secret"):
                answer = own.get(f"/function/reader/read?path={path}")
                assert answer.status == 403 and b"outside" not in answer.body, (path, answer)
            assert own.get("/function/reader/write?path=/data/new").status == 403
            assert not (shared / "new").exists()
            deploy(own, "writer", manifest=grant.format(shared, "true"))
            assert own.get("/function/writer/write?path=/data/new").status == 200
            assert (shared / "new").read_text() == "written"
            folder = write_function(own, "thief", manifest=grant.format(host, "false"))
            refused = own.cli("deploy", folder, check=False)
            assert refused.returncode != 0 and host in refused.stderr, refused


def test_domains_have_users_of_their_own_and_share_what_a_folder_of_both_holds():
    need_root()
    with tempfile.TemporaryDirectory() as host:
        os.chmod(host, 0o755)
        shared = pathlib.Path(host) / "shared"
        shared.mkdir()
        os.chown(shared, 64101, 64101)
        os.chmod(shared, 0o700)
        manifest = f'domain = "{{}}"\n[[folders]]\nhost = "{shared}"\nguest = "/data"\nwritable = true\n'
        with node({"policy": {"default": "wasm-only"}, "wasm": {"allowed_folders": [str(shared)]}}) as own:
            deploy(own, "one", manifest=manifest.format("one"))
            deploy(own, "two", manifest=manifest.format("two"))
            assert own.get("/function/one/write?path=/data/new").status == 200
            assert own.get("/function/two/read?path=/data/new").body == b"written"
            made = (shared / "new").stat()
            assert (made.st_uid, made.st_gid) == (64101, 64101), made
            users = [os.stat(f"/proc/{pid}").st_uid for pid in own.processes("hybridserve-executor-wasmtime serve")]
            assert len(users) == 3 and len(set(users)) == 3, users  # "default" has one too.


def test_secrets_reach_their_function_and_nothing_else():
    canary = "canary-7d1f0a"
    with tempfile.NamedTemporaryFile("w", suffix=".secret") as file:
        file.write(canary + "\n")
        file.flush()
        os.chmod(file.name, 0o644)
        with node({"policy": {"default": "wasm-only"}, "node": {"log_level": "trace"}}) as own:
            deploy(own, manifest=f'\n[secrets]\nAPI_KEY = "{file.name}"')
            assert f"API_KEY={canary}".encode() in own.get("/function/fixture/env").body
            shown = [own.cli("describe", "fixture").stdout, own.cli("list", "--output", "json").stdout,
                     own.cli("describe", "fixture", "--output", "json").stdout, own.metrics(), own.output()]
            for text in shown:
                assert canary not in text
            folder = write_function(own, "lacking", manifest='\n[secrets]\nAPI_KEY = "/nonexistent/key"')
            refused = own.cli("deploy", folder, check=False)
            assert refused.returncode != 0 and "/nonexistent/key" in refused.stderr, refused


def test_logs_show_what_guests_and_containers_write():
    need_root()
    with node({"policy": {"allow_route_header": True}}) as own:
        deploy(own, container=True)
        own.get("/function/fixture/log?text=from-wasm", headers={"HybridServe-Route": "wasm-only"})
        own.get("/function/fixture/log?text=from-container", headers={"HybridServe-Route": "container-only"})

        def both():
            text = own.cli("logs", "fixture").stdout
            return "from-wasm" in text and "from-container" in text
        wait_for("both lines", both)


def test_code_is_compiled_at_the_first_request_when_asked():
    with node({"policy": {"default": "wasm-only"}}) as own:
        folder = write_function(own)
        text = (folder / "function.toml").read_text().replace("[wasm]", '[wasm]\naot = "first-run"')
        (folder / "function.toml").write_text(text)
        own.cli("deploy", folder)
        aot = own.state / "server" / "aot"
        assert not [f for f in aot.rglob("*") if f.is_file()]
        assert own.get("/function/fixture/").status == 200
        assert [f for f in aot.rglob("*") if f.is_file()]


def stopped(own):
    own.terminate()
    assert own.process.wait(30) == 0, own.output()
    own.log.close()


def refused_start(own):
    """Starts the node, which must end by itself; its exit status, and what it said since."""
    before = len(own.output())
    own.start(wait=False)
    status = own.process.wait(30)
    own.log.close()
    return status, own.output()[before:]


def test_damaged_registry_is_refused_with_the_command_that_restores_it():
    with node({"policy": {"default": "wasm-only"}}) as own:
        deploy(own, "one")
        deploy(own, "two")
        own.cli("remove", "two")
        running = own.cli("registry", "check", check=False)
        assert running.returncode == 5 and "stop it first" in running.stderr, running
        stopped(own)
        registry = own.state / "server" / "registry.db"
        for damage in (b"no database", b""):
            registry.write_bytes(damage)
            status, said = refused_start(own)
            assert status == 10, (status, said)
            assert f"hybridserve registry restore --state-folder {own.state}" in said, said
            checked = own.cli("registry", "check", check=False)
            assert checked.returncode == 10 and "damaged" in checked.stdout, checked
            assert "restored 1 functions" in own.cli("registry", "restore").stdout
            assert own.cli("registry", "check", "--output", "json").returncode == 0
        own.start()
        assert own.functions() == ["one"]
        assert own.get("/function/one/").status == 200
