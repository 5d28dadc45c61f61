"""A tf.data pipeline, read without running it."""

import pytest
import tensorflow as tf

from tb_trainspeed.probes import tf_data
from tb_trainspeed.profile import Data


def decode(x):
    return tf.cast(x, tf.float32) / 255.0


def slow(x):
    return tf.py_function(lambda value: value, [x], tf.float32)


def test_stages_from_the_source_to_the_step():
    dataset = tf.data.Dataset.range(100).shuffle(50).map(decode, num_parallel_calls=4).map(slow).batch(10).prefetch(2)
    stages = tf_data.stages(dataset)
    assert [stage.kind for stage in stages] == ["Range", "Shuffle", "ParallelMap", "Map", "Batch", "Prefetch"]
    shuffle, parallel, python, batch, prefetch = stages[1:]
    assert (shuffle.buffer, parallel.parallelism, batch.batch_size, prefetch.buffer) == (50, 4, 10, 2)
    assert parallel.function == "decode"
    assert python.stateful_operations == ("EagerPyFunc",)
    assert parallel.stateful_operations == ()
    assert [stage.elements_per_batch for stage in stages] == [10, 10, 10, 10, 1, 1]
    assert parallel.output_bytes == 4


def checked(x):
    tf.debugging.assert_non_negative(x)
    return x


def guarded(x):
    return tf.cond(x > 3, lambda: checked(x), lambda: x + 1)


def looped(x):
    return tf.while_loop(lambda i: i < 3, lambda i: (checked(i) + 1,), [x])[0]


def shaken(x):
    return tf.cond(x > 3, lambda: x + tf.random.uniform([], 0, 9, tf.int64), lambda: x + 1)


@pytest.mark.parametrize(
    ("function", "stateful"), [(checked, ()), (guarded, ()), (looped, ()), (shaken, ("RandomUniformInt",))]
)
def test_assertions_are_no_state_and_branches_have_that_of_what_they_hold(function, stateful):
    """As tf.data sees it: it makes those without a state parallel."""
    (_, stage) = tf_data.stages(tf.data.Dataset.range(9).map(function))
    assert stage.stateful_operations == stateful
    assert (function is checked) or {"If", "While"} & set(stage.operations)


def test_the_size_at_which_a_jpeg_is_decoded():
    def decode(ratio):
        dataset = tf.data.Dataset.from_tensors("").map(lambda file: tf.io.decode_jpeg(file, ratio=ratio))
        return tf_data.stages(dataset)[1].operations

    assert "DecodeJpeg/4" in decode(4)
    assert "DecodeJpeg" in decode(1)


def test_options_of_what_is_no_pipeline_of_the_users_stay():
    data = Data(options={"generator": "passes"})
    assert tf_data.add_facts(data, tf.data.Dataset.range(3), users=False).options == data.options


def test_several_inputs():
    dataset = tf.data.Dataset.zip((tf.data.Dataset.range(3), tf.data.Dataset.range(3).map(decode)))
    assert [stage.kind for stage in tf_data.stages(dataset)] == ["Range", "Range", "Map", "Zip"]


def test_batches():
    dataset = tf.data.Dataset.from_tensors((tf.zeros([8, 4]), tf.zeros([8], tf.int64)))
    assert tf_data.batch_of(dataset) == (8, 8 * 4 * 4 + 8 * 8, "float32(8, 4), int64(8,)")
    assert tf_data.batch_of(tf.data.Dataset.from_tensors("text").batch(2))[1] is None


def test_the_stage_that_batches_tells_the_size_where_the_last_batch_may_be_smaller():
    dataset = tf.data.Dataset.range(100).batch(7).map(lambda x: x).prefetch(1)
    assert tf_data.batch_of(dataset)[0] is None
    assert tf_data.add_facts(Data(), dataset, users=True).batch_size == 7
    assert tf_data.add_facts(Data(), dataset.unbatch(), users=True).batch_size is None


def test_options_that_are_set():
    options = tf.data.Options()
    options.experimental_optimization.inject_prefetch = False
    dataset = tf.data.Dataset.range(3).with_options(options)
    assert tf_data.options(dataset)["inject_prefetch"] == "False"
    assert "map_parallelization" not in tf_data.options(dataset)


def test_counts_and_elements():
    skip, take, repeat = tf_data.stages(tf.data.Dataset.range(10).skip(3).take(5).repeat())[1:]
    assert (skip.count, skip.elements, take.count, take.elements) == (3, 7, 5, 5)
    assert repeat.elements is None
