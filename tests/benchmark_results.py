"""A result of a benchmark, made up."""

from __future__ import annotations

from benchmarks.result import Result, Row

MACHINE = {"cpu": "a", "cores": 2, "threads": 1, "devices": [], "system": "Linux", "python": "3.11.7"} | {
    "torch": "2.11.0",
    "torchvision": "0.26.0",
}
BASE = Row("FCOS", (1.0, 1.1, 0.9, 1.0, 1.05), memory_mb=100.0)
OTHER = Row("MMMC", (1.2, 1.32, 1.08, 1.2, 1.26), against="FCOS", note="two")
RESULT = Result(
    "step", "python -m benchmarks step", "2026-01-02", MACHINE, False, (BASE, OTHER, Row("x", skipped="no"))
)
