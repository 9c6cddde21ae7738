"""What the figures were measured on, and whether it was quiet."""
import os
import pathlib
import platform
import re
import shutil
import subprocess
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent


def first_line(*command):
    """The first line a command prints, or None where it cannot be run."""
    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=20, cwd=ROOT)
    except (OSError, subprocess.TimeoutExpired):
        return None
    lines = (result.stdout + result.stderr).strip().splitlines()
    return lines[0].strip() if lines else None


def cpu_model():
    text = pathlib.Path("/proc/cpuinfo").read_text()
    found = re.search(r"^model name\s*:\s*(.*)$", text, re.M)
    return found.group(1) if found else platform.machine()


def memory_bytes():
    found = re.search(r"^MemTotal:\s*(\d+) kB", pathlib.Path("/proc/meminfo").read_text(), re.M)
    return int(found.group(1)) * 1024


def wasmtime_version():
    """The engine's version as the lock file of its crate has it."""
    lock = ROOT / "executors" / "wasmtime" / "shim" / "Cargo.lock"
    found = re.search(r'name = "wasmtime"\nversion = "([^"]+)"', lock.read_text()) if lock.exists() else None
    return found.group(1) if found else None


def build_type(bin_folder):
    """What the programs were built as: CMAKE_BUILD_TYPE and sanitizers, or None when not known."""
    cache = bin_folder.parent / "CMakeCache.txt"
    if not cache.exists():
        return None
    text = cache.read_text()
    kind = re.search(r"^CMAKE_BUILD_TYPE:\w+=(.*)$", text, re.M)
    sanitize = re.search(r"^HS_SANITIZE:\w+=(.+)$", text, re.M)
    return (kind.group(1) if kind else "") + (f" with {sanitize.group(1)}" if sanitize else "")


def commit():
    head = first_line("git", "rev-parse", "HEAD")
    changed = first_line("git", "status", "--porcelain", "--untracked-files=no")
    return f"{head}, with local changes" if head and changed else head


def busy_ratio(seconds=1.0):
    """The share of all cores that was in use over `seconds`, stolen time included: 0..1."""
    def counters():
        values = [int(word) for word in pathlib.Path("/proc/stat").read_text().splitlines()[0].split()[1:]]
        return sum(values[:8]), values[3] + values[4]

    total, idle = counters()
    time.sleep(seconds)
    later_total, later_idle = counters()
    passed = max(later_total - total, 1)
    return round(1 - (later_idle - idle) / passed, 3)


def describe(bin_folder):
    return {
        "cpu": cpu_model(),
        "cores": os.cpu_count(),
        "memory_bytes": memory_bytes(),
        "kernel": platform.release(),
        "system": first_line("sh", "-c", ". /etc/os-release && echo $PRETTY_NAME"),
        "compiler": first_line("c++", "--version"),
        "build": build_type(bin_folder),
        "commit": commit(),
        "root": os.geteuid() == 0,
        "wasmtime": wasmtime_version(),
        "nginx": first_line("nginx", "-v") if shutil.which("nginx") else None,
        "wrk": first_line("wrk", "-v") if shutil.which("wrk") else None,
        "docker": first_line("docker", "--version") if shutil.which("docker") else None,
        "load_average_at_start": list(os.getloadavg()),
        "busy_ratio_at_start": busy_ratio(2.0),
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }
