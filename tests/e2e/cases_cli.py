"""The command: what it prints, its exit codes, nodes elsewhere, and functions made by `new`."""
import json
import shutil
import signal
import subprocess
import threading

from node import BIN, CACHE, ROOT, Skip, deploy, need_root, node, wait_for, zig  # noqa: F401


def run(*arguments, **options):
    return subprocess.run([BIN / "hybridserve", *map(str, arguments)], stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, timeout=280, **options)


def test_help_teaches_every_command():
    top = run("--help")
    assert top.returncode == 0
    for command in ("serve", "new", "build", "deploy", "invoke", "list", "describe", "logs", "remove", "rollback"):
        assert command in top.stdout
        help_text = run(command, "--help")
        assert help_text.returncode == 0 and "hybridserve " + command in help_text.stdout, help_text


def test_no_node_is_a_clear_error():
    result = run("list", "--state-folder", "/nonexistent/state")
    assert result.returncode == 8 and "hybridserve serve" in result.stderr, result


def test_list_describe_and_invoke_print_tables_and_json():
    with node({"policy": {"default": "wasm-only"}}) as own:
        deploy(own)
        assert "fixture" in own.cli("list").stdout
        listed = json.loads(own.cli("list", "--output", "json").stdout)
        assert [f["name"] for f in listed["functions"]] == ["fixture"], listed
        assert json.loads(own.cli("describe", "fixture", "--output", "json").stdout)["name"] == "fixture"
        invoked = own.cli("invoke", "fixture", "--path", "/echo", "--data", "from the command")
        assert invoked.stdout == "from the command", invoked
        verbose = own.cli("invoke", "fixture", "-v")
        assert "wasm" in verbose.stderr + verbose.stdout
        failed = own.cli("invoke", "fixture", "--path", "/trap", check=False)
        assert failed.returncode == 7 and "unreachable" in failed.stderr, failed
        own.cli("remove", "fixture")
        assert own.functions() == []


def test_completion_scripts_are_valid_shell():
    for shell in ("bash", "zsh", "fish"):
        script = run("completion", shell)
        assert script.returncode == 0 and "deploy" in script.stdout, shell
        if shutil.which(shell):
            checked = subprocess.run([shell, "-n"], input=script.stdout, text=True, capture_output=True)
            assert checked.returncode == 0, checked


def test_logs_follow_prints_lines_as_they_come():
    with node({"policy": {"default": "wasm-only"}}) as own:
        deploy(own)
        follower = subprocess.Popen([BIN / "hybridserve", "logs", "-f", "fixture", "--state-folder", own.state],
                                    stdout=subprocess.PIPE, text=True)
        try:
            lines = []
            reader = threading.Thread(target=lambda: lines.extend(iter(follower.stdout.readline, "")))
            reader.start()

            def arrived():
                own.get("/function/fixture/log?text=live-line")
                return any("live-line" in line for line in lines)
            wait_for("the line to arrive", arrived)
        finally:
            follower.send_signal(signal.SIGINT)
            follower.wait(10)
            reader.join(10)


def new_function(language, tool):
    if tool != "zig" and shutil.which(tool) is None:
        raise Skip(f"{tool} is not installed")
    zig()
    need_root()
    with node({"policy": {"allow_route_header": True}}) as own:
        folder = own.folder / "greet"
        made = run("new", "greet", "--lang", language, "--folder", folder)
        assert made.returncode == 0 and (folder / "function.toml").exists(), made
        built = run("build", folder)
        assert built.returncode == 0, built
        own.cli("deploy", folder)
        answers = {}
        for route in ("wasm-only", "container-only"):
            answer = own.get("/function/greet?name=edge", headers={"HybridServe-Route": route})
            assert answer.status == 200 and answer.backend == route.split("-")[0], answer
            answers[route] = answer.body
        assert answers["wasm-only"] == answers["container-only"], answers


def test_new_cpp_function_builds_deploys_and_answers_the_same_on_both_sides():
    new_function("cpp", "zig")


def test_new_c_function_builds_deploys_and_answers_the_same_on_both_sides():
    new_function("c", "zig")


def test_new_go_function_builds_deploys_and_answers_the_same_on_both_sides():
    new_function("go", "go")
