"""What is known of a run or a detector, as people read it: on a terminal, as JSON, as pages that need nothing else."""

from mmmc.report.run import diagnose_run
from mmmc.report.tables import on_terminal
from mmmc.report.whole import report_run
from mmmc.report.write import write_report

__all__ = ["diagnose_run", "on_terminal", "report_run", "write_report"]
