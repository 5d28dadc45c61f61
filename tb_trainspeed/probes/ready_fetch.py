"""Fetching a batch from a tf.data iterator, and what that costs when the batch is ready."""

import collections
import statistics
import time
from collections.abc import Callable
from typing import Any

import tensorflow as tf

# A fetch costs more between two steps than in a tight loop, since the step has emptied the caches: so the cost of a
# ready fetch is measured in place, on the first steps and then now and then: it is asked only when the recorder is up
# to date, with every 32nd of small steps.
_CALIBRATE_FIRST, _CALIBRATE_EVERY = 5, 2


class Fetch:
    """Takes the next batch of an iterator, as `next(iterator)` does.

    That puts a new executor around the operation and takes it off again, for those who have switched eager execution to
    asynchronous. Measured beside steps of 5 ms on two cores: 0.15 ms a step.
    """

    def __init__(self) -> None:
        self._spec: Any = None
        self._pack: Callable[[list[Any]], Any] | None = None

    def __call__(self, iterator: Any) -> Any:
        """Returns the next batch.

        Raises:
            StopIteration: at the end of the data.
        """
        spec = iterator.element_spec
        if spec is not self._spec:
            self._spec, self._pack = spec, _packer(iterator, spec)
        if self._pack is None:
            return next(iterator)
        try:
            tensors = tf.raw_ops.IteratorGetNext(
                iterator=iterator._iterator_resource,
                output_types=iterator._flat_output_types,
                output_shapes=iterator._flat_output_shapes,
            )
        except tf.errors.OutOfRangeError:
            raise StopIteration from None
        return self._pack(tensors)


def _packer(iterator: Any, spec: Any) -> Callable[[list[Any]], Any] | None:
    """Returns what makes a batch of its tensors, or `None` where only TensorFlow itself knows how."""
    private = ("_iterator_resource", "_flat_output_types", "_flat_output_shapes")
    parts = tf.nest.flatten(spec)
    if not (
        tf.config.experimental.get_synchronous_execution()
        and all(hasattr(iterator, name) for name in private)
        and all(type(part) is tf.TensorSpec for part in parts)
    ):
        return None
    if type(spec) is tuple and all(part is field for part, field in zip(parts, spec, strict=False)):
        return tuple
    return lambda tensors: tf.nest.pack_sequence_as(spec, tensors)


class ReadyFetch:
    """What fetching a batch costs when it is ready: dispatch, no wait. Measured on an empty dataset."""

    def __init__(self, spec: Any):
        empty = tf.nest.map_structure(_empty, spec)
        options = tf.data.Options()
        # Else the end of the iterator, whenever the garbage collector comes to it, waits for a thread that sleeps.
        options.autotune.enabled = False
        self._iterator, self._fetch = iter(tf.data.Dataset.from_tensors(empty).repeat().with_options(options)), Fetch()
        self._costs: collections.deque[int] = collections.deque(maxlen=9)
        self._calls = 0
        self.cost_ns = 0
        self._fetch(self._iterator)  # starts the iterator, which is no part of a fetch

    def measure_sometimes(self) -> None:
        self._calls += 1
        if self._calls <= _CALIBRATE_FIRST or self._calls % _CALIBRATE_EVERY == 0:
            begin = time.perf_counter_ns()
            self._fetch(self._iterator)
            self._costs.append(time.perf_counter_ns() - begin)
            self.cost_ns = int(statistics.median(self._costs))


def _empty(spec: Any) -> Any:
    if isinstance(spec, tf.TensorSpec) and spec.shape.rank is not None:
        return tf.zeros([0] * spec.shape.rank, spec.dtype)
    return tf.zeros([0])
