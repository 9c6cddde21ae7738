"""The peers measured in the same run on the same machine, and wrk."""
import contextlib
import os
import pathlib
import re
import shutil
import socket
import subprocess
import time

from .bench import ended
from .node import Failure, Unavailable, wait_for

NGINX = """daemon off; worker_processes auto; pid {folder}/nginx.pid; error_log stderr crit; {user}
events {{ worker_connections 1024; }}
http {{
  access_log off; keepalive_requests 1000000000; default_type text/plain;
  client_body_temp_path {folder}/t1; proxy_temp_path {folder}/t2; fastcgi_temp_path {folder}/t3;
  uwsgi_temp_path {folder}/t4; scgi_temp_path {folder}/t5;
  server {{ listen 127.0.0.1:{port}; root {folder}/www; }}
}}
"""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def listens(port):
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


@contextlib.contextmanager
def nginx(folder, content):
    """A static nginx that serves `content` as /file; its address."""
    program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if program is None:
        raise Unavailable("nginx is not installed: apt-get install nginx-light")
    home = folder / "nginx"
    (home / "www").mkdir(parents=True, exist_ok=True)
    (home / "www" / "file").write_bytes(content)
    port = free_port()
    # Workers of a root nginx drop to nobody, which has to read the folder; ours stays readable.
    user = "user root;" if os.geteuid() == 0 else ""
    (home / "nginx.conf").write_text(NGINX.format(folder=home, port=port, user=user))
    process = subprocess.Popen([program, "-p", home, "-c", home / "nginx.conf"], stdin=subprocess.DEVNULL,
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    with ended(process):
        wait_for("nginx to listen", lambda: process.poll() is not None or listens(port))
        if process.poll() is not None:
            raise Failure(f"nginx ended at once with status {process.returncode}")
        yield f"127.0.0.1:{port}"


CHECKING_SCRIPT = """
local file = io.open("{expected}", "rb"); local expected = file:read("*a"); file:close()
seen, wrong = 0, 0
function response(status, headers, body)
  seen = seen + 1
  if status ~= 200 or body ~= expected then wrong = wrong + 1 end
end
local threads = {{}}
function setup(thread) table.insert(threads, thread) end
function done()
  for _, thread in ipairs(threads) do
    print("answers: " .. thread:get("seen") .. ", wrong: " .. thread:get("wrong"))
  end
end
"""


def wrk(url, seconds, script=None):
    """One run of wrk with 32 connections. Fails on any answer but 2xx and on any socket error."""
    command = ["wrk", "-t1", "-c32", f"-d{seconds}s", "--latency", *(["-s", script] if script else []), url]
    result = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    text = result.stdout + result.stderr
    rate = re.search(r"Requests/sec:\s*([\d.]+)", text)
    if result.returncode != 0 or rate is None:
        raise Failure(f"wrk {url} failed: {text[-500:]}")
    for bad in ("Non-2xx", "Socket errors"):
        if bad in text:
            raise Failure(f"wrk {url}: {next(line.strip() for line in text.splitlines() if bad in line)}")
    latency = dict(re.findall(r"^\s+(50|99)%\s+(\S+)$", text, re.M))
    return {"requests_per_second": float(rate.group(1)), "latency_p50": latency.get("50"),
            "latency_p99": latency.get("99"), "text": text}


def wrk_checked(bench, url, seconds, expected):
    """One run whose every body is compared; slower than an unchecked one, and not counted."""
    script = bench.write("check.lua", CHECKING_SCRIPT.format(expected=bench.write("wrk-expected", expected)).encode())
    text = wrk(url, seconds, script)["text"]
    found = re.search(r"answers: (\d+), wrong: (\d+)", text)
    if found is None or int(found.group(1)) == 0 or int(found.group(2)) != 0:
        raise Failure(f"{url} under load: {found.group(0) if found else 'no answers'}")
    return int(found.group(1))


def need_wrk():
    if shutil.which("wrk") is None:
        raise Unavailable("wrk is not installed: apt-get install wrk")


def need_docker():
    if shutil.which("docker") is None:
        raise Unavailable("docker is not installed")
    with contextlib.suppress(subprocess.TimeoutExpired):
        result = subprocess.run(["docker", "info"], capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=20)
        if result.returncode == 0 and "Server Version" in result.stdout:
            return
    raise Unavailable("no Docker engine is running")


def docker(*arguments, **options):
    result = subprocess.run(["docker", *map(str, arguments)], capture_output=True, text=not options.get("input"), **options)
    if result.returncode != 0:
        raise Failure(f"docker {' '.join(map(str, arguments[:2]))} failed: {result.stderr[-300:]}")
    return result.stdout


def first_answer(port, expected, deadline):
    """Requests until an answer comes; docker's proxy takes connections before the container does."""
    request = b"GET / HTTP/1.1\r\nHost: bench\r\n\r\n"
    while time.perf_counter() < deadline:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1) as stream:
            stream.sendall(request)
            answer = stream.recv(65536)
            now = time.perf_counter()
            if answer:
                if not answer.endswith(expected):
                    raise Failure(f"the docker container answered {answer[:200]!r}")
                return now
        time.sleep(0.0005)
    raise Failure("the docker container did not answer within 30 s")


def docker_run(image, tag, expected, samples):
    """`docker run -d -p` of the image until the first byte of an answer; milliseconds, one a sample."""
    need_docker()
    docker("load", input=image)
    times = []
    try:
        for i in range(samples):
            name, port = f"hybridserve-bench-{os.getpid()}-{i}", free_port()
            command = ["docker", "run", "-d", "--rm", "--name", name, "-p", f"127.0.0.1:{port}:8080",
                       "-e", "PORT=8080", tag]
            started = time.perf_counter()
            try:
                # A request before the container is up would cost Docker a second: its proxy waits for ARP.
                subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                times.append((first_answer(port, expected, started + 30) - started) * 1000)
            finally:
                subprocess.run(["docker", "rm", "-f", name], capture_output=True)
    finally:
        subprocess.run(["docker", "rmi", "-f", tag], capture_output=True)
    return times


def processes_with(variable):
    """The pids of processes whose environment holds `variable` ("NAME=value"), lowest first."""
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                if variable.encode() in (entry / "environ").read_bytes().split(b"\0"):
                    found.append(int(entry.name))
    return sorted(found)
