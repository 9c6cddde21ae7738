"""The guests of the conformance suite: commands in C, C++, Rust and Go, and small modules in WebAssembly text."""
import os
import pathlib
import shutil
import subprocess

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "hybridserve"

# Code of `_start`, and what the module has besides, of one guest per kind of trap.
TRAPS = {
    "unreachable": ("unreachable", ""),
    "division-by-zero": ("(drop (i32.div_s (i32.const 1) (i32.load (i32.const 0))))", ""),
    "integer-overflow": ("(drop (i32.div_s (i32.const 0x80000000) (i32.sub (i32.load (i32.const 0)) (i32.const 1))))", ""),
    "invalid-conversion": ("(drop (i32.trunc_f32_s (f32.div (f32.const 0) (f32.convert_i32_s (i32.load (i32.const 0))))))",
                           ""),
    "memory-out-of-bounds": ("(drop (i32.load (i32.const 0x7fffffff)))", ""),
    "table-out-of-bounds": ("(call_indirect (type $none) (i32.const 9))", "(table 2 funcref)"),
    "null-function": ("(call_indirect (type $none) (i32.const 1))", "(table 2 funcref)"),
    "wrong-signature": ("(call_indirect (type $none) (i32.const 0))",
                        "(table 2 funcref) (elem (i32.const 0) $one) (func $one (param i32))"),
    # Of a call whose result is not used twice LLVM makes a loop.
    "stack-overflow": ("(drop (call $again (i64.const 1)))",
                       "(func $again (param i64) (result i64) (if (result i64) (i64.eqz (local.get 0))"
                       " (then (i64.const 7)) (else (i64.xor (call $again (i64.add (local.get 0) (i64.const 1)))"
                       " (i64.mul (call $again (i64.add (local.get 0) (i64.const 2))) (i64.const 3))))))"),
}
LOOP = ("(loop $again (br $again))", "")


class Unbuilt(Exception):
    """A guest cannot be built here; the text says what is missing."""


def text_module(code, fields):
    return (f'(module (type $none (func)) (memory (export "memory") 1) {fields}\n'
            f'  (func (export "_start") {code}))\n')


def _run(what, command, **variables):
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | variables)
    if done.returncode != 0:
        raise RuntimeError(f"{what} cannot be built: {' '.join(map(str, command))}:\n{done.stderr[-2000:]}")


def _zig(compiler, source, output):
    python = CACHE / "venv/bin/python"
    if not python.exists():
        raise Unbuilt("zig is not installed: make setup")
    _run(source.name, [python, "-m", "ziglang", compiler, "-target", "wasm32-wasi", "-O2", "-s", "-fno-exceptions", source,
                       "-o", output],
         ZIG_GLOBAL_CACHE_DIR=os.environ.get("ZIG_GLOBAL_CACHE_DIR", str(CACHE / "zig")))


def _go(_compiler, source, output):
    if shutil.which("go") is None:
        raise Unbuilt("Go is not on the path")
    _run(source.name, ["go", "build", "-ldflags=-s -w", "-o", output, source], GOOS="wasip1", GOARCH="wasm",
         GOFLAGS="-mod=mod")


# The Rust guest is the example function's program.
RUST = ROOT / "functions/examples/rust/build/slug.wasm"


class Guests:
    """Builds each guest once, into a folder; one that is newer than its source stays."""

    def __init__(self, folder, bin_folder):
        self.folder, self.bin_folder = folder, bin_folder
        folder.mkdir(parents=True, exist_ok=True)

    def path(self, name):
        """The module's file. Raises Unbuilt where the machine lacks its toolchain."""
        if name == "rust":
            return self._rust()
        if name.endswith(".wat"):
            return self._text(name.removesuffix(".wat"))
        source = HERE / "guests" / name
        output = self.folder / (name + ".wasm")
        if not output.exists() or output.stat().st_mtime < source.stat().st_mtime:
            build, compiler = {".c": (_zig, "cc"), ".cc": (_zig, "c++"), ".go": (_go, None)}[source.suffix]
            build(compiler, source, output)
        return output

    def _rust(self):
        if not RUST.exists():
            built = subprocess.run([self.bin_folder / "hybridserve", "build", RUST.parent.parent], capture_output=True,
                                   text=True)
            if built.returncode == 6:
                raise Unbuilt(built.stderr.strip().splitlines()[-1])
            assert built.returncode == 0, built.stderr
        return RUST

    def _text(self, name):
        output = self.folder / (name + ".wasm")
        source = self.folder / (name + ".wat")
        text = text_module(*(LOOP if name == "loop" else TRAPS[name]))
        if output.exists() and source.exists() and source.read_text() == text:
            return output
        if shutil.which("wat2wasm") is None:
            raise Unbuilt("wat2wasm (Debian's wabt) is not installed")
        source.write_text(text)
        _run(name, ["wat2wasm", source, "-o", output])
        return output
