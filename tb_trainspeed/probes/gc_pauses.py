"""Pauses of the garbage collector on the thread that runs the fit."""

import gc
import threading
from typing import Any

from tb_trainspeed.probes.fit_loop import Undo
from tb_trainspeed.recorder import FitRecorder


def time_gc(recorder: FitRecorder, undo: Undo) -> None:
    """Charges collections that stop this thread to the phase `gc`.

    One that comes while our own code adds up what steps took is charged to that.
    """
    clock, later, owner = recorder.clock, recorder.later, threading.get_ident()
    collecting = False

    def on_gc(phase: str, info: dict[str, Any]) -> None:
        nonlocal collecting
        if threading.get_ident() != owner:
            return
        if phase == "start":
            if later.adding_up:
                return
            clock.push("gc")
            collecting = True
        elif collecting:
            clock.pop()
            collecting = False

    def remove() -> None:
        if on_gc in gc.callbacks:
            gc.callbacks.remove(on_gc)

    undo.add(remove)
    gc.callbacks.append(on_gc)
