"""Fetching as `next(iterator)` does, for whatever an iterator yields."""

import numpy as np
import pytest
import tensorflow as tf

from tb_trainspeed.probes.ready_fetch import Fetch

X, Y = np.arange(12.0).reshape(6, 2), np.arange(6)
DATASETS = {
    "tensors": lambda: tf.data.Dataset.from_tensor_slices(X).batch(2),
    "pairs": lambda: tf.data.Dataset.from_tensor_slices((X, Y)).batch(4),
    "nested": lambda: tf.data.Dataset.from_tensor_slices(({"b": X, "a": (Y, Y)}, Y)).batch(4),
    "with nothing": lambda: tf.data.Dataset.from_tensor_slices((X, Y)).map(lambda x, y: (x, None, y)),
    "ragged": lambda: tf.data.Dataset.from_tensor_slices(tf.ragged.constant([[1], [2, 3]])).batch(1),
}


def all_of(iterator, fetch):
    batches = []
    while True:
        try:
            batches.append(fetch(iterator))
        except StopIteration:
            return batches


def assert_same(dataset):
    fetched, expected = all_of(iter(dataset), Fetch()), list(dataset)
    tf.nest.assert_same_structure(fetched, expected, expand_composites=True)
    flat = (tf.nest.flatten(batches, expand_composites=True) for batches in (fetched, expected))
    assert all(np.array_equal(one, other) for one, other in zip(*flat, strict=True))


@pytest.mark.parametrize("dataset", DATASETS.values(), ids=DATASETS)
def test_it_yields_what_the_iterator_yields(dataset):
    assert_same(dataset())


def test_one_fetch_serves_iterators_over_different_data():
    fetch = Fetch()
    for name in ("pairs", "tensors", "ragged", "pairs"):
        assert len(all_of(iter(DATASETS[name]()), fetch)) == len(list(DATASETS[name]()))


def test_it_leaves_it_to_tensorflow_where_eager_execution_is_asynchronous():
    tf.config.experimental.set_synchronous_execution(False)
    try:
        assert_same(DATASETS["pairs"]())
    finally:
        tf.config.experimental.set_synchronous_execution(True)


def test_it_leaves_it_to_an_iterator_that_is_made_otherwise():
    class Other:
        element_spec = tf.TensorSpec(())

        def __next__(self):
            return 7

    assert Fetch()(Other()) == 7
