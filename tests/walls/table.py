"""What `make walls` found: rows (tried, held, figure) and metrics, the files and the table that say so."""
import pathlib

from harness import summary

# Each metric and what is asked of it: (sign, bound) or None for a figure without a bound.
METRICS = {
    "escapes_tried": None,
    "escapes_held": None,
    "faults_injected": None,
    "requests_lost": ("<=", 0),
    "acknowledged_lost": ("<=", 0),
    "orphans_left": ("<=", 0),
    "overload_goodput_ratio": (">=", 0.9),
    "neighbour_p99_ratio": ("<=", 5.0),
    "fuzz_executions": None,
}


class Table:
    """Collects rows and metrics of every part; writes after each, so that an interrupted run leaves what it had."""

    def __init__(self, out):
        self.out = pathlib.Path(out)
        self.rows, self.metrics, self.unavailable = [], {}, {}

    def row(self, part, tried, held, figure=""):
        """One thing that was tried; `held` is True, False, or None when the machine cannot show it (`figure` says
        why)."""
        self.rows.append({"part": part, "tried": tried, "held": held, "figure": figure})
        print(f"  {_word(held):<8} {tried:<58} {figure}", flush=True)
        self.write()

    def set(self, name, value):
        assert name in METRICS, name
        self.metrics[name] = value
        self.unavailable.pop(name, None)
        self.write()

    def add(self, name, value):
        """For counts to which several parts contribute."""
        self.set(name, self.metrics.get(name, 0) + value)

    def miss(self, name, reason):
        if name not in self.metrics:
            self.unavailable[name] = reason
            self.write()

    def write(self):
        summary.merge(self.out, self.metrics, self.unavailable)
        summary.write(self.out / "walls.json",
                      {"rows": self.rows, "metrics": self.metrics, "unavailable": self.unavailable})

    def print(self):
        print(f"\n{'part':<12} {'held':<8} {'tried':<58} figure")
        for row in self.rows:
            print(f"{row['part']:<12} {_word(row['held']):<8} {row['tried']:<58} {row['figure']}")
        print()
        for name, value in self.metrics.items():
            bound = METRICS[name]
            asked = f"{bound[0]} {bound[1]}" if bound else ""
            print(f"{name:<28} {value:>14,.3f} {asked:<8} {'' if self.met(name) else 'MISS'}".replace(".000", "    "))
        for name, reason in self.unavailable.items():
            print(f"{name}: {reason}")

    def met(self, name):
        bound, value = METRICS[name], self.metrics[name]
        if name == "escapes_held":
            return value == self.metrics.get("escapes_tried")
        return bound is None or (value >= bound[1] if bound[0] == ">=" else value <= bound[1])

    def held(self):
        """Whether every wall that could be tried held, and every bound is met."""
        return all(row["held"] is not False for row in self.rows) and all(map(self.met, self.metrics))


def _word(held):
    return {True: "held", False: "BROKEN", None: "skipped"}[held]
