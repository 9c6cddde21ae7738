"""What the running server holds of the system: capabilities, filter, descriptors."""
import contextlib
import ctypes
import os
import pathlib
import socket
import stat

from node import command_of, deploy, descendants, need_root, node, wait_for, wat, write_function

# Of the event loop; no inotify, perf, bpf, userfaultfd, io_uring or seccomp listener.
ANONYMOUS = {"anon_inode:[eventfd]", "anon_inode:[eventpoll]", "anon_inode:[timerfd]"}

# The launcher's and the executors', the admin API's, the gateway's and connections into containers.
SOCKETS = {(socket.AF_UNIX, socket.SOCK_SEQPACKET, 0), (socket.AF_UNIX, socket.SOCK_STREAM, 0),
           (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)}
PIDFD_GETFD = 438


def status_of(pid):
    lines = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
    return {key: value.strip() for key, _, value in (line.partition(":") for line in lines)}


def socket_kind(pid, fd):
    """Family, type and protocol of a descriptor of another process, looked at through a copy."""
    pidfd = os.pidfd_open(pid)
    try:
        copy = ctypes.CDLL(None, use_errno=True).syscall(PIDFD_GETFD, pidfd, fd, 0)
        assert copy >= 0, f"pidfd_getfd: {os.strerror(ctypes.get_errno())}"
        with socket.socket(fileno=copy) as one:
            return one.family, one.type, one.proto
    finally:
        os.close(pidfd)


def check_descriptor(own, pid, fd, user):
    link = f"/proc/{pid}/fd/{fd}"
    target, status = os.readlink(link), os.stat(link)
    what = f"descriptor {fd}: {target}, mode {status.st_mode:o}, owner {status.st_uid}"
    if target.startswith("socket:["):
        assert socket_kind(pid, fd) in SOCKETS, f"{what}: {socket_kind(pid, fd)}"
    elif target.startswith("anon_inode:"):
        assert target in ANONYMOUS, what
    elif target.startswith("pipe:["):
        assert stat.S_ISFIFO(status.st_mode), what
    else:
        assert stat.S_ISREG(status.st_mode) and status.st_uid == user, what
        assert pathlib.Path(target).is_relative_to(own.state / "server"), what


def check_server(own, user):
    # By its first word: a child of the launcher has the launcher's command line until it is another program.
    pid, = (p for p in descendants(own.process.pid) if command_of(p).split(" ")[0].endswith("/hybridserve-server"))
    status = status_of(pid)
    sets = ["CapInh", "CapPrm", "CapEff", "CapAmb"] + (["CapBnd"] if os.geteuid() == 0 and own.user is None else [])
    assert {name: int(status[name], 16) for name in sets} == dict.fromkeys(sets, 0), status
    assert status["NoNewPrivs"] == "1" and status["Seccomp"] == "2", status
    assert status["Uid"].split() == [str(user)] * 4 and status["Gid"].split() == [str(user)] * 4, status
    assert user != 0 and status["Groups"] == "", status
    for task in os.listdir(f"/proc/{pid}/task"):
        assert status_of(f"{pid}/task/{task}")["Seccomp"] == "2", f"thread {task} has no filter"
    # 0, 1 and 2 are those that the operator started the node with.
    descriptors = [int(fd) for fd in os.listdir(f"/proc/{pid}/fd") if int(fd) > 2]
    assert len(descriptors) > 5, descriptors
    for fd in descriptors:
        with contextlib.suppress(FileNotFoundError):  # Closed meanwhile: the end of a connection.
            check_descriptor(own, pid, fd, user)


def test_server_has_no_privilege_a_filter_and_only_descriptors_of_its_own():
    need_root()
    with node({"policy": {"allow_route_header": True}}) as own:
        deploy(own, container=True)
        for route in ("wasm-only", "container-only"):
            assert own.get("/function/fixture/", headers={"HybridServe-Route": route}).status == 200
        check_server(own, 64100)
        # A sandbox that is being made has no filter yet.
        for pid in descendants(own.process.pid):
            wait_for(f"a filter of {pid} ({command_of(pid)})",
                     lambda pid=pid: not os.path.exists(f"/proc/{pid}") or status_of(pid)["Seccomp"] == "2", 5)


def test_server_of_an_ordinary_user_has_the_same_filter():
    need_root()
    with node({"policy": {"default": "wasm-only"}}, user=12345) as own:
        os.chmod(own.folder, 0o755)
        module = wat('(module (memory (export "memory") 1) (func (export "_start")))')
        folder = write_function(own, "empty", wasm=module)
        own.cli("deploy", folder)
        assert own.get("/function/empty/").status == 502
        check_server(own, 12345)
