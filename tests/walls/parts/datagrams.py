"""A server that was taken over sends the launcher ten million datagrams that no server would."""
import contextlib
import json
import os
import pathlib
import subprocess
import tempfile
import time

from node import BIN, Skip, descendants, wait_for

FLOOD = BIN.parent / "src" / "launcher" / "launcher_datagram_flood"
COUNT, WARM_UP, SEED = 10_000_000, 100_000, 4
SECONDS = 240  # Gives up after that; it takes less than 90 on two cores that do nothing else.
PAGE_KIB = os.sysconf("SC_PAGE_SIZE") // 1024


@contextlib.contextmanager
def launcher():
    """A real launcher whose server is the flood; both end with the block."""
    with tempfile.TemporaryDirectory(prefix="hybridserve-walls.") as folder:
        os.chmod(folder, 0o755)
        command = [BIN / "hybridserve-launcher", "--state-folder", f"{folder}/state", "--user", "64100", "--", FLOOD]
        with open(f"{folder}/log", "w+") as log:
            process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True)
            try:
                yield process
                process.stdin.close()
                assert process.wait(30) == 0, pathlib.Path(f"{folder}/log").read_text()[-2000:]
            except BaseException:
                print(pathlib.Path(f"{folder}/log").read_text()[-2000:])
                raise
            finally:
                process.kill()
                process.wait()


def flood(process, count, seed):
    process.stdin.write(f"{count} {seed}\n")
    process.stdin.flush()
    line = process.stdout.readline()
    assert line, "the launcher or its server ended"
    return json.loads(line)


def state_of(pid):
    """Resident KiB, open descriptors, processes below."""
    pages = int(pathlib.Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * PAGE_KIB, len(os.listdir(f"/proc/{pid}/fd")), len(descendants(pid))


def run(table):
    if not FLOOD.exists():
        raise Skip(f"{FLOOD} is not built")
    with launcher() as process:
        # What is allocated once is there before anything is compared.
        warm = flood(process, WARM_UP, SEED)
        assert warm["serves"], warm
        before = state_of(process.pid)
        result, started = {"sent": 0, "with_descriptors": 0, "refused": 0, "granted": 0}, time.monotonic()
        for part in range(10):
            one = flood(process, COUNT // 10, SEED + 1 + part)
            for name in result:
                result[name] += one[name]
            if not one["serves"] or time.monotonic() - started > SECONDS:
                break
        seconds = time.monotonic() - started
        with contextlib.suppress(AssertionError):  # Then the table says what is left.
            wait_for("the launcher to have reaped its job", lambda: state_of(process.pid)[2] == before[2], 5)
        after = state_of(process.pid)
    figure = (f"{result['sent']:,} in {seconds:.0f} s, {result['with_descriptors']:,} with descriptors; "
              f"{result['refused']:,} refused by name")
    table.row("datagrams", "the launcher answers a server's requests afterwards",
              one["serves"] and result["sent"] == COUNT, one["error"] or figure)
    table.row("datagrams", "none of them started or was given anything",
              result["granted"] == 0 and after[2] == before[2] == 1,
              f"{result['granted']} granted, {after[2]} process below it")
    table.row("datagrams", "the launcher's memory is flat", after[0] - before[0] <= 1024,
              f"{before[0]:,} KiB before, {after[0]:,} after")
    table.row("datagrams", "the launcher's descriptors are flat", after[1] == before[1],
              f"{before[1]} before, {after[1]} after")
