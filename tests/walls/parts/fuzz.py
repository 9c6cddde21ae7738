"""Every parser of untrusted bytes under libFuzzer for 20 seconds."""
import json
import subprocess

from node import ROOT


def run(table):
    subprocess.run([ROOT / "tools" / "fuzz", "20"], stdout=subprocess.DEVNULL, check=False)
    summary = json.loads((ROOT / "build" / "fuzz" / "out" / "summary.json").read_text())
    for target in summary["targets"]:
        table.row("fuzz", target["target"], target["held"], f"{target['executions']:,} executions in 20 s")
        table.add("fuzz_executions", target["executions"])
