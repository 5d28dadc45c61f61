"""The step-time model: what would an epoch take if some remedies were applied?

An epoch is `steps` steps and what is done once an epoch. A step takes as long as the slower of two things that run side
by side: the thread that trains (compute and the callbacks of the batch) and the supply of batches; or as long as both
where they take turns; and never less than its CPU time spread over all cores. Remedies change quantities of this model,
alone or together, at three ends: pessimistic, expected, optimistic. This is the bottleneck law of operational analysis
(Denning and Buzen, "The Operational Analysis of Queueing Network Models", ACM Computing Surveys 1978) with the
machine's cores as a third server.
"""

from tb_trainspeed.whatif.changes import apply, tells
from tb_trainspeed.whatif.model import StepModel, baseline
from tb_trainspeed.whatif.prediction import Epoch, Prediction, predict, saves_once_s, speedup

__all__ = ["Epoch", "Prediction", "StepModel", "apply", "baseline", "predict", "saves_once_s", "speedup", "tells"]
