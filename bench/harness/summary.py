"""OUT/summary.json, to which several verbs add figures: metrics by name, and the reason of each that has none."""
import json


def merge(out, metrics, unavailable):
    """Puts these metrics into the summary and leaves the others; one that is unavailable has the value None."""
    out.mkdir(parents=True, exist_ok=True)
    path = out / "summary.json"
    summary = json.loads(path.read_text()) if path.exists() else {"machine": {}, "metrics": {}, "unavailable": {}}
    summary["metrics"].update(metrics)
    summary["metrics"].update({name: None for name in unavailable})
    for name in metrics:
        summary["unavailable"].pop(name, None)
    summary["unavailable"].update(unavailable)
    write(path, summary)


def write(path, content):
    """The whole file or nothing."""
    temporary = path.with_name("." + path.name)
    temporary.write_text(json.dumps(content, indent=1) + "\n")
    temporary.rename(path)
