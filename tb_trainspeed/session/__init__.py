"""One fit under observation: probes in place, recorder running, records written, and everything put back at the end."""

from tb_trainspeed.session.fit import BACKENDS, FitSession

__all__ = ["BACKENDS", "FitSession"]
