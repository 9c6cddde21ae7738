"""What a node left behind: processes, cgroups, mounts, namespaces and files, while it runs and after its end."""
import contextlib
import ctypes
import hashlib
import os
import pathlib
import re
import time

from node import command_of, descendants

PR_SET_CHILD_SUBREAPER = 36
# All that a quiet node's state folder holds.
KNOWN_FILES = re.compile(
    r"lock|server/(registry\.db(-wal|-shm|\.bak)?|aot\.key|admin\.sock|aot/[0-9a-f]{64}\.(native|mac)"
    r"|blobs/sha256/[0-9a-f]{2}/[0-9a-f]{64})|images/[0-9a-f]{64}(/.*)?")


@contextlib.contextmanager
def adopting_orphans():
    """Makes this process the parent of whatever loses its own: what a killed launcher leaves cannot get away."""
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0
    try:
        yield
    finally:
        libc.prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)


def until_empty(look, seconds=5):
    """Calls `look()` until it returns nothing or the time is over; returns what it returned last."""
    deadline = time.monotonic() + seconds
    while (found := look()) and time.monotonic() < deadline:
        time.sleep(0.02)
    return found


def orphans(expected):
    """The pids below this process that are not `expected` or below one of them. Reaps the dead."""
    found = []
    for pid in children(os.getpid()):
        if pid in expected:
            continue
        with contextlib.suppress(ChildProcessError):
            if os.waitpid(pid, os.WNOHANG) == (0, 0):
                found += [pid, *descendants(pid)]
    return [f"process {pid} ({command_of(pid).strip()})" for pid in found]


def children(pid):
    found = []
    for task in os.listdir(f"/proc/{pid}/task"):
        with contextlib.suppress(OSError):
            found += map(int, pathlib.Path(f"/proc/{pid}/task/{task}/children").read_text().split())
    return found


def cgroups(state):
    """Paths of the node's groups in every hierarchy, its tree itself first."""
    name = "hybridserve-" + hashlib.sha256(str(state.resolve()).encode()).hexdigest()[:12]
    found = []
    for folder, names, _ in os.walk("/sys/fs/cgroup"):
        if name in names:
            tree = pathlib.Path(folder) / name
            found += [tree, *(path for path in tree.rglob("*") if path.is_dir())]
    return found


def empty_cgroups(state):
    """The node's groups without a process, but for the tree's own, in which none ever is."""
    found = []
    for path in cgroups(state):
        with contextlib.suppress(OSError):
            # Of the two groups that keep the kernel's lock hot (lock_heater.h) one is always empty.
            own = path.name.startswith(("hybridserve-", "heat-"))
            if not own and not (path / "cgroup.procs").read_text():
                found.append(f"cgroup {path}")
    return found


def mounts(folder, but=()):
    """Mounts of what lies in `folder`, in any process's namespace but those of `but`."""
    known = {mount_namespace(pid) for pid in but}
    found, seen = [], {None}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        namespace = mount_namespace(pid)
        if namespace in seen | known:
            continue
        seen.add(namespace)
        with contextlib.suppress(OSError):
            text = pathlib.Path(f"/proc/{pid}/mountinfo").read_text(errors="replace")
            found += [f"mount {line}" for line in text.splitlines() if folder.name in line]
    return found


def mount_namespace(pid):
    with contextlib.suppress(OSError):
        return os.readlink(f"/proc/{pid}/ns/mnt")
    return None


def held_namespaces(pid):
    """Network namespaces that a process keeps alive by a descriptor."""
    found = []
    with contextlib.suppress(OSError):
        for fd in os.listdir(f"/proc/{pid}/fd"):
            with contextlib.suppress(OSError):
                link = os.readlink(f"/proc/{pid}/fd/{fd}")
                if link.startswith("net:["):
                    found.append(link)
    return found


def files(state):
    """Files of the state folder that no quiet node has: temporary ones."""
    found = []
    for folder, names, plain in os.walk(state):
        relative = pathlib.Path(folder).relative_to(state)
        if relative.parts[:1] == ("images",) and len(relative.parts) == 1:
            found += [relative / name for name in names + plain if not KNOWN_FILES.fullmatch(f"images/{name}")]
            names.clear()  # What lies in an image is its maker's.
        found += [relative / name for name in plain if not KNOWN_FILES.fullmatch(str(relative / name))]
    return [f"file {path}" for path in dict.fromkeys(found)]
