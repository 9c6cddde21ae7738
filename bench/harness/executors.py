"""The engines' programs, used without a node."""
import json
import subprocess

ENGINES = ["wasmtime", "wasmer", "wasmedge"]


def program(bin_folder, engine):
    return bin_folder / f"hybridserve-executor-{engine}"


def describe(executor):
    return json.loads(subprocess.run([executor, "describe"], capture_output=True, check=True).stdout)


def compile_ahead(executor, compiler, module, code):
    """Makes the native code of a module, as a job of the node does. Raises RuntimeError with the executor's words."""
    command = 'exec "$0" compile --compiler "$1" 3<"$2" 4>"$3"'
    ended = subprocess.run(["sh", "-c", command, executor, compiler, module, code], capture_output=True, text=True)
    if ended.returncode != 0:
        raise RuntimeError(f"compile ended with {ended.returncode}: {ended.stderr.strip()}")
