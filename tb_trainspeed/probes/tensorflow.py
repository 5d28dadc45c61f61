"""The TensorFlow backend: clocks inside the train function.

Keras fetches the batch inside the train function, in the graph. It also takes a plain Python iterator there, so we
fetch the batch ourselves, with a clock, and hand it over: `next(iterator)`, then `train_function(iter((batch,)))`.
Weights and losses stay bit-identical, and so do the number of traces. It must be every step or none: the first step of
the other kind makes TensorFlow optimise the whole graph once more (8 s for a MobileNetV2 on two cores).
"""

import collections
import dataclasses
import functools
import inspect
import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any

import tensorflow as tf

from tb_trainspeed.probes import facts, source, tf_data
from tb_trainspeed.probes.fit_loop import FitLoop, Undo
from tb_trainspeed.probes.sampling import DeepSampler
from tb_trainspeed.profile import Data, Device, Model
from tb_trainspeed.recorder import Budget, FitRecorder

# A fetch costs more between two steps than in a tight loop, since the step has emptied the caches: so the cost of a
# ready fetch is measured in place, on the first steps and then now and then.
_CALIBRATE_FIRST, _CALIBRATE_EVERY = 5, 32


WAITS_AT_EPOCH_END = False
GUARDS_EVERY_FETCH = False


def fetches_can_be_timed(model: Any) -> str | None:
    """Returns why the fetch of a batch cannot be timed apart from the step, or `None` when it can."""
    if model.steps_per_execution != 1:
        return "steps_per_execution > 1 runs several steps in one graph call; the wait inside it needs a deep sample"
    if not type(model.distribute_strategy).__name__.startswith("_Default"):
        return "the batch is fetched inside a distributed step; the wait inside it needs a deep sample"
    return None


class ReadyFetch:
    """What `next(iterator)` costs when the batch is ready: dispatch, no wait. Measured on an empty dataset."""

    def __init__(self, spec: Any):
        empty = tf.nest.map_structure(_empty, spec)
        options = tf.data.Options()
        # Else the end of the iterator, whenever the garbage collector comes to it, waits for a thread that sleeps.
        options.autotune.enabled = False
        self._iterator = iter(tf.data.Dataset.from_tensors(empty).repeat().with_options(options))
        self._costs: collections.deque[int] = collections.deque(maxlen=9)
        self._calls = 0
        self.cost_ns = 0
        next(self._iterator)  # starts the iterator, which is no part of a fetch

    def measure_sometimes(self) -> None:
        self._calls += 1
        if self._calls <= _CALIBRATE_FIRST or self._calls % _CALIBRATE_EVERY == 0:
            begin = time.perf_counter_ns()
            next(self._iterator)
            self._costs.append(time.perf_counter_ns() - begin)
            self.cost_ns = int(statistics.median(self._costs))


def _empty(spec: Any) -> Any:
    if isinstance(spec, tf.TensorSpec) and spec.shape.rank is not None:
        return tf.zeros([0] * spec.shape.rank, spec.dtype)
    return tf.zeros([0])


def time_fetches(loop: FitLoop, recorder: FitRecorder, undo: Undo, first: Callable[[Any], None]) -> None:
    """Nothing: the batch is fetched inside the train function."""


def time_steps(
    model: Any, recorder: FitRecorder, budget: Budget | None, deep: DeepSampler | None, failed: Callable[[], None]
) -> Callable[[Iterator[Any]], Any]:
    """Returns the train function with clocks, and with one for the fetch of the batch where that can be timed."""
    train_function = model.train_function
    fetch_apart = budget is not None and fetches_can_be_timed(model) is None
    traced = trace_detector(train_function)
    ready: ReadyFetch | None = None
    batch: Any = None

    def calibrate(iterator: Any) -> None:
        nonlocal ready
        ready = ready or ReadyFetch(iterator.element_spec)
        ready.measure_sometimes()

    def fetch(iterator: Any) -> Any:
        recorder.clock.push("trainspeed")
        recorder.safely(lambda: calibrate(iterator))
        recorder.clock.pop()
        begin = time.perf_counter_ns()
        batch = next(iterator)
        recorder.fetched(time.perf_counter_ns() - begin, ready.cost_ns if ready else 0)
        return batch

    def fetch_and_step(iterator: Any) -> Any:
        nonlocal batch
        try:
            batch = fetch(iterator)
        except StopIteration:
            batch = None
        if batch is not None:
            return train_function(iter((batch,)))
        # In a plain fit it is the step that finds the data at their end, when the parts of it that need no data have
        # run: the optimizer has counted a step, random numbers have been drawn. So that step has to run here too.
        recorder.clock.push("trainspeed")
        try:
            return train_function(iterator)
        finally:
            recorder.clock.pop()

    @functools.wraps(train_function)
    def timed(iterator: Any) -> Any:
        nonlocal batch
        if deep:
            deep.before_step()
        apart = fetch_apart and isinstance(iterator, tf.data.Iterator)
        recorder.step_begin(apart)
        try:
            outputs = fetch_and_step(iterator) if apart else train_function(iterator)
        except BaseException:  # also the error with which an epoch of unknown length ends
            recorder.step_abort()
            raise
        recorder.step_end(traced, None, lambda: source.shapes_of(batch))
        batch = None
        if deep:
            deep.after_step()
        return outputs

    return timed


def trace_detector(train_function: Callable[..., Any]) -> Callable[[], bool]:
    """Returns a function that tells whether TensorFlow traced since it was last asked. The first step always counts."""
    variables = inspect.getclosurevars(train_function).nonlocals.values()
    functions = [function for variable in variables for function in (variable, getattr(variable, "__wrapped__", None))]
    counters = [getattr(function, "experimental_get_tracing_count", None) for function in functions]
    last = -1

    def traced() -> bool:
        nonlocal last
        before, last = last, sum(count() for count in counters if count)
        return last > before

    return traced


def devices() -> tuple[Device, ...]:
    """The devices TensorFlow uses."""
    return tuple(Device(device.device_type, device.name) for device in tf.config.list_logical_devices())


def model_facts(model: Any) -> Model:
    """Facts of a compiled model."""
    return dataclasses.replace(facts.model_facts(model), functions_run_eagerly=tf.config.functions_run_eagerly())


def data_facts(loop: FitLoop) -> Data:
    """How the training data reaches the step, with the stages of its tf.data pipeline."""
    users = facts.tf_data_facts(facts.data_facts(loop), loop)
    return users if users.stages else tf_data.add_facts(users, loop.epoch_iterator._distributed_dataset, users=False)
