"""Everything tried, and what is said of it: the table of docs/security.md."""
from images import try_images
from world import Skip, try_container, try_executor, try_runc

GROUPS = {
    "kernel": "system calls on the kernel",
    "namespaces": "namespaces",
    "privileges": "users, capabilities, priorities, limits",
    "devices": "devices, terminals",
    "kernel_files": "/proc and /sys",
    "processes": "other processes",
    "network": "sockets, netlink",
    "descriptors": "inherited descriptors",
    "files": "the files of host, node and others",
    "executor": "fork, exec, sockets, files at all",
    "outside": "seen from outside",
}


def try_everything():
    """Every attempt, and why there are none of some group: ({group: [attempt]}, {group: reason})."""
    found, missing = {}, {}
    for group, tries in (("container", try_container), ("executor", try_executor), ("images", try_images),
                         ("runc", try_runc)):
        try:
            for attempt in tries():
                found.setdefault(attempt.group, []).append(attempt)
        except Skip as reason:
            missing[group] = str(reason)
    return found, missing


def _names(attempts):
    return ", ".join(f"`{attempt.name.split('.')[1]}`" for attempt in attempts)


def _cell(attempts, missing, names):
    if missing:
        return "not run"
    if not attempts:
        return "-"
    opened = [a for a in attempts if not a.held]
    count = f"{len(attempts) - len(opened)} of {len(attempts)}"
    return f"{count}; open: {_names(opened)}" if names and opened else count


def document(everything):
    """Markdown: a row for each group of attempts, how many of them held in each place."""
    found, missing = everything
    lines = ["| attempts | container | executor | another trust domain | runc's defaults |", "|---|---|---|---|---|"]
    for group, title in GROUPS.items():
        cells = []
        for place in ("container", "executor", "domain", "runc"):
            attempts = [a for a in found.get(place, []) if a.name.split(".")[0] == group]
            cells.append(_cell(attempts, missing.get("executor" if place == "domain" else place), True))
        lines.append(f"| {title} | " + " | ".join(cells) + " |")
    images = found.get("images", [])
    lines.append(f"| image archives | {_cell(images, missing.get('images'), True)} | - | - | - |")
    for group, attempts in found.items():
        lines.append(f"\n{group}: {len(attempts)} tried, {sum(a.held for a in attempts)} held"
                     + "".join(f"\n  {a.name}: {a.detail}" for a in attempts if not a.held))
    lines += [f"\n{group}: {reason}" for group, reason in missing.items()]
    return "\n".join(lines)
