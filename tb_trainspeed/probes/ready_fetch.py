"""What it costs to fetch a batch from a tf.data iterator when the batch is ready."""

import collections
import statistics
import time
from typing import Any

import tensorflow as tf

# A fetch costs more between two steps than in a tight loop, since the step has emptied the caches: so the cost of a
# ready fetch is measured in place, on the first steps and then now and then: it is asked only when the recorder is up
# to date, with every 32nd of small steps.
_CALIBRATE_FIRST, _CALIBRATE_EVERY = 5, 2


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
