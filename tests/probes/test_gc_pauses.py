"""Collections on the thread of the fit are a phase of their own; those of other threads are not its business."""

import gc
import threading

from tb_trainspeed.probes.fit_loop import Undo
from tb_trainspeed.probes.gc_pauses import time_gc
from tb_trainspeed.recorder import FitRecorder


def test_a_collection_is_charged_to_gc():
    recorder, undo = FitRecorder(), Undo()
    time_gc(recorder, undo)
    try:
        gc.collect()
        charged = recorder.clock.totals["gc"]
        assert charged > 0
        thread = threading.Thread(target=gc.collect)
        thread.start()
        thread.join()
        assert recorder.clock.totals["gc"] == charged
    finally:
        undo.run()
    gc.collect()
    assert recorder.clock.totals["gc"] == charged


def test_a_collection_that_was_running_when_we_came():
    recorder, undo = FitRecorder(), Undo()
    time_gc(recorder, undo)
    (on_gc,) = [callback for callback in gc.callbacks if callback.__module__ == "tb_trainspeed.probes.gc_pauses"]
    undo.run()
    on_gc("stop", {})
    assert "gc" not in recorder.clock.totals
