"""Engines of a node: each function runs in the one that it names, or the node's."""
import json
import subprocess
import sys

from node import BIN, ROOT, Skip, deploy, node, write_function

sys.path.append(str(ROOT / "bench"))
from harness.executors import ENGINES, describe, program  # noqa: E402

INSTALLED = [engine for engine in ENGINES if program(BIN, engine).exists()]
ONLY_WASM = {"policy": {"default": "wasm-only"}}


def compilers():
    for engine in INSTALLED:
        for compiler in describe(program(BIN, engine))["compilers"]:
            yield engine, compiler["name"]


def test_a_function_runs_in_the_engine_and_compiler_that_it_names():
    with node(ONLY_WASM) as own:
        chosen = list(compilers())
        for engine, compiler in chosen:
            name = f"{engine}-{compiler}"
            write_function(own, name, manifest="")
            folder = own.folder / f"function-{name}"
            manifest = folder / "function.toml"
            manifest.write_text(manifest.read_text() + f'engine = "{engine}"\ncompiler = "{compiler}"\n')
            own.cli("deploy", folder)
        for engine, compiler in chosen:
            for start in ("cold", "warm"):
                answer = own.get(f"/function/{engine}-{compiler}/")
                assert (answer.status, answer.body, answer.start) == (200, b"hello\n", start), (engine, compiler, answer)
        for engine, compiler in chosen:
            serving = own.processes(f"hybridserve-executor-{engine} serve --compiler {compiler}")
            assert len(serving) == 1, (engine, compiler, serving)


def test_the_nodes_engine_runs_functions_that_name_none():
    with node(ONLY_WASM | {"wasm": {"engine": "wasmtime", "compiler": "winch"}}) as own:
        deploy(own)
        assert own.get("/function/fixture/").body == b"hello\n"
        assert len(own.processes("hybridserve-executor-wasmtime serve --compiler winch")) == 1
        assert own.processes("hybridserve-executor-wasmtime serve --compiler cranelift") == []


def test_an_engine_that_is_not_installed_is_named_when_a_function_is_deployed():
    absent = [engine for engine in ("wasmer", "wasmedge") if engine not in INSTALLED]
    if not absent:
        raise Skip("all engines are installed here")
    with node(ONLY_WASM) as own:
        folder = write_function(own)
        manifest = folder / "function.toml"
        manifest.write_text(manifest.read_text() + f'engine = "{absent[0]}"\n')
        refused = own.cli("deploy", folder, check=False)
        assert refused.returncode != 0 and f"does not have the engine {absent[0]}" in refused.stderr, refused
        assert own.get("/function/fixture/").status == 404


def test_engines_lists_what_is_installed_and_works():
    said = subprocess.run([BIN / "hybridserve", "engines", "--output", "json"], check=True, capture_output=True)
    listed = json.loads(said.stdout)["engines"]
    assert [engine["engine"] for engine in listed] == ["wasmtime", "wasmer", "wasmedge"]
    for engine in listed:
        assert engine["installed"] == (engine["engine"] in INSTALLED), engine
        for compiler in engine.get("compilers", []):
            assert compiler["self_test"] == "ok", engine
