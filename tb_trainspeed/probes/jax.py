"""The JAX backend: clocks around the train function, and the device followed without waiting for it.

A step is only enqueued, on the CPU too. Its metrics are results that nothing overwrites, so they tell when the step is
done; the state is given back to the device and would not.
"""

import functools
import inspect
from collections.abc import Callable, Iterator
from typing import Any

import jax

from tb_trainspeed.probes import facts, source
from tb_trainspeed.probes.fetches import TimedBatches, time_fetches
from tb_trainspeed.probes.fit_loop import FitLoop
from tb_trainspeed.probes.sampling import DeepSampler
from tb_trainspeed.profile import Data, Device, Model
from tb_trainspeed.recorder import Budget, FitRecorder

# After the last step of an epoch Keras reads the metrics: it waits for the device then, so we may.
WAITS_AT_EPOCH_END = True
GUARDS_EVERY_FETCH = False
__all__ = ["time_fetches"]


def fetches_can_be_timed(model: Any) -> str | None:
    """Returns why the fetch of a batch cannot be timed, or `None` when it can."""
    return None


class _Metrics:
    """The end of a step, by one of its metrics."""

    def __init__(self, metric: Any):
        self.is_ready = metric.is_ready
        self.wait = metric.block_until_ready


def _done(logs: Any) -> _Metrics | None:
    for leaf in jax.tree_util.tree_leaves(logs):
        if isinstance(leaf, jax.Array):
            return _Metrics(leaf)
    return None


def time_steps(
    model: Any, recorder: FitRecorder, budget: Budget | None, deep: DeepSampler | None, failed: Callable[[], None]
) -> Callable[..., Any]:
    """Returns the train function with clocks."""
    train_function = model.train_function
    traced = trace_detector(train_function)
    # A step that is not compiled is many small operations, and the host that dispatches them is what takes the time.
    follows = bool(model.jit_compile) and not model.run_eagerly
    if budget and follows:
        recorder.follow_device(budget)

    @functools.wraps(train_function)
    def timed(state: Any, iterator: Iterator[Any]) -> Any:
        if deep:
            deep.before_step()
        recorder.step_begin(False)
        try:
            outputs = train_function(state, iterator)
        except BaseException as error:
            recorder.step_abort()
            if not isinstance(error, StopIteration):  # with which an epoch of unknown length ends
                failed()
            raise
        recorder.step_end(
            traced,
            lambda: _done(outputs[0]),
            lambda: source.shapes_of(getattr(iterator, "last", None)),
        )
        if isinstance(iterator, TimedBatches):
            iterator.last = None
        recorder.sample_device()
        if deep:
            deep.after_step()
        return outputs

    return timed


def trace_detector(train_function: Callable[..., Any]) -> Callable[[], bool]:
    """Returns a function that tells whether JAX compiled since it was last asked. The first step always counts."""
    variables = inspect.getclosurevars(train_function).nonlocals.values()
    sizes = [size for variable in variables if (size := getattr(variable, "_cache_size", None))]
    last = -1

    def traced() -> bool:
        nonlocal last
        before, last = last, sum(size() for size in sizes)
        return last > before

    return traced


def devices() -> tuple[Device, ...]:
    """The devices JAX uses."""
    return tuple(
        Device(device.platform.upper(), str(device.device_kind), (device.memory_stats() or {}).get("bytes_limit"))
        for device in jax.local_devices()
    )


def model_facts(model: Any) -> Model:
    """Facts of a compiled model."""
    return facts.model_facts(model)


def data_facts(loop: FitLoop) -> Data:
    """How the training data reaches the step."""
    return facts.tf_data_facts(facts.data_facts(loop), loop)
