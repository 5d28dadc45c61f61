"""Profile -> Report, and its renderers. `diagnose` is the whole analysis; plugin server and callback call it.

`compare` says what changed from one report to another, `workers_of` puts the workers of one fit side by side.
terminal.py, markdown.py and page.py (HTML) render.
"""

from tb_trainspeed.report.compare import Comparison, compare
from tb_trainspeed.report.diagnose import diagnose
from tb_trainspeed.report.report import Finding, Remedy, Report
from tb_trainspeed.report.workers import workers_of

__all__ = ["Comparison", "Finding", "Remedy", "Report", "compare", "diagnose", "workers_of"]
