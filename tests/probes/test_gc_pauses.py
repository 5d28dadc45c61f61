"""Collections on the thread of the fit are a phase of their own; those of other threads are not its business."""

import gc
import threading

from tb_trainspeed.probes.fit_loop import Undo
from tb_trainspeed.probes.gc_pauses import time_gc
from tb_trainspeed.recorder import FitRecorder
from tests.recorder.conftest import PlayedFit


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


def steps_with_a_hook(collect):
    played, undo = PlayedFit(), Undo()
    recorder = played.recorder
    recorder.may_wait = True
    row, enter = recorder.row("Logger", "on_train_batch_end", "callbacks"), recorder._enter

    def entered(*told):
        enter(*told)
        collect()

    recorder._enter = entered
    time_gc(recorder, undo)
    gc.disable()
    try:
        recorder.epoch_begin(0)
        for step in range(20):
            played.step(traced=step == 0)
            played.hook(row, 0.1)
        recorder.finish()
        return played.profile()
    finally:
        gc.enable()
        undo.run()


def test_a_collection_while_earlier_steps_are_added_up_does_not_take_the_clock_to_the_present():
    assert steps_with_a_hook(gc.collect) == steps_with_a_hook(lambda: None)
