"""A node whose server is started through other words: traced, or with another clock."""
import contextlib
import os
import pathlib
import shutil
import tempfile

import node as e2e


@contextlib.contextmanager
def server_behind(words):
    """While it lasts, nodes are started from a folder of the same programs whose server is `WORDS server`."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="hybridserve-programs."))
    os.chmod(folder, 0o755)
    built = e2e.BIN
    try:
        for program in built.glob("hybridserve*"):
            shutil.copy2(program, folder / program.name)
        server = folder / "hybridserve-server"
        server.rename(folder / "server-itself")
        server.write_text(f'#!/bin/sh\nexec {words} {folder / "server-itself"} "$@"\n')
        server.chmod(0o755)
        e2e.BIN = folder
        yield
    finally:
        e2e.BIN = built
        shutil.rmtree(folder, ignore_errors=True)
