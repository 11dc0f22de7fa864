"""A diagnosis as people read it: on a terminal, as JSON, and as one page that needs nothing else."""

from mmmc.report.run import diagnose_run
from mmmc.report.tables import on_terminal
from mmmc.report.write import write_report

__all__ = ["diagnose_run", "on_terminal", "write_report"]
