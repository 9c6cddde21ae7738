"""Faults under load: killed processes, and what happens to the state and the machine."""
import importlib.util

import kills


def run(table):
    kills.run(table)
    if importlib.util.find_spec("state_faults"):
        import state_faults
        state_faults.run(table)
