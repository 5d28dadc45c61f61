"""Turns the stream of events of a running fit into a bounded value.

In: clock transitions and step events, from one thread. Out: the dynamic parts of a `Profile`, at any time, from any
thread. Memory does not grow with the length of the run.
"""

from tb_trainspeed.recorder.budget import Budget
from tb_trainspeed.recorder.clock import PhaseClock
from tb_trainspeed.recorder.deep import DeepSamples, Sample
from tb_trainspeed.recorder.device import DeviceQueue, DeviceWatch, Done
from tb_trainspeed.recorder.fit import FitRecorder
from tb_trainspeed.recorder.hooks import HookRow
from tb_trainspeed.recorder.own_cost import OwnCost
from tb_trainspeed.recorder.sketch import Sketch

__all__ = [
    "Budget", "DeepSamples", "DeviceQueue", "DeviceWatch", "Done", "FitRecorder", "HookRow", "OwnCost", "PhaseClock",
    "Sample", "Sketch",
]  # fmt: skip
