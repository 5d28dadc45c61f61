"""Profile -> Report, and its renderers. `diagnose` is the whole analysis; plugin server and callback call it."""

from tb_trainspeed.report.diagnose import diagnose
from tb_trainspeed.report.report import Finding, Remedy, Report

__all__ = ["Finding", "Remedy", "Report", "diagnose"]
