"""What native code tries in order to get out: tests/escape, and the same under runc as the yardstick."""
import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent.parent / "escape"))

from report import try_everything

TITLES = {"container": "from inside a container", "executor": "from inside an executor's jail",
          "domain": "against the executor of another trust domain", "images": "image archives"}


def run(table):
    found, missing = try_everything()
    everything = {group: [attempt._asdict() for attempt in attempts] for group, attempts in found.items()}
    table.out.mkdir(parents=True, exist_ok=True)
    (table.out / "escape.json").write_text(json.dumps({"attempts": everything, "missing": missing}, indent=1) + "\n")
    for group, title in TITLES.items():
        attempts = found.get(group, [])
        if not attempts:
            table.row("escape", title, None, missing.get("executor" if group == "domain" else group, "not tried"))
            continue
        lost = [attempt for attempt in attempts if not attempt.held]
        table.add("escapes_tried", len(attempts))
        table.add("escapes_held", len(attempts) - len(lost))
        table.row("escape", title, not lost, f"{len(attempts) - len(lost)} of {len(attempts)} attempts")
        for attempt in lost:
            table.row("escape", attempt.name, False, attempt.detail[:100])
    for group in ("escapes_tried", "escapes_held"):
        table.miss(group, "; ".join(sorted(set(missing.values()))))
    yardstick = found.get("runc", [])
    opened = sum(not attempt.held for attempt in yardstick)
    table.row("escape", "yardstick: runc's defaults (nothing is asked)", None,
              missing.get("runc", f"{len(yardstick) - opened} of {len(yardstick)} attempts, not counted"))
