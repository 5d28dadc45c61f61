"""The code that makes batches: counted, timed, and located."""

import collections
import gc
import pickle
import sys
import threading

import numpy as np
import pytest
from keras.src.trainers.data_adapters.array_data_adapter import ArrayDataAdapter
from keras.src.trainers.data_adapters.generator_data_adapter import GeneratorDataAdapter

from tb_trainspeed.probes import facts, source, stand_ins
from tb_trainspeed.probes.fit_loop import Undo
from tb_trainspeed.probes.source import SourceClock, sample_source
from tb_trainspeed.profile import Data

tf = pytest.importorskip("tensorflow")


def squares():
    yield from (number * number for number in range(50))


def of_squares(make=squares):
    return tf.data.Dataset.from_generator(make, output_signature=tf.TensorSpec((), tf.int64))


class _Adapter:
    """What Keras' adapter of tf.data pipelines holds."""

    def __init__(self, dataset):
        self._dataset = dataset


@pytest.mark.parametrize("short_ns", [0, 10**12], ids=["all", "every eighth"])
def test_elements_of_a_generator_in_tf_data_are_timed(monkeypatch, short_ns):
    monkeypatch.setattr(source, "_SHORT_NS", short_ns)
    undo, dataset = Undo(), of_squares().repeat(2).batch(10).prefetch(1)
    state = stand_ins.tf_generator_of(_Adapter(dataset))
    clock = stand_ins.time_source(_Adapter(dataset), undo)
    whole = [number * number for number in range(50)] * 2
    assert np.concatenate(list(dataset.as_numpy_iterator())).tolist() == whole
    facts = clock.facts()
    # With the two that find it exhausted; the first one of all is timed, to know how short they are.
    assert facts.calls == (102 if short_ns == 0 else 1 + 102 // 8)
    assert (facts.name, clock.elements, clock.batch_bytes, clock.error) == ("squares", True, None, None)
    undo.run()
    assert "get_iterator" not in vars(state)
    assert np.concatenate(list(dataset.as_numpy_iterator())).tolist() == whole
    assert clock.facts().calls == facts.calls


def test_of_two_fits_with_one_dataset_the_first_times_it_and_nothing_is_left():
    first, second, dataset = Undo(), Undo(), of_squares()
    clocks = [stand_ins.time_source(_Adapter(dataset), undo) for undo in (first, second)]
    assert [clock is not None for clock in clocks] == [True, False]
    first.run()
    second.run()
    assert "get_iterator" not in vars(stand_ins.tf_generator_of(_Adapter(dataset)))


def test_what_a_generator_in_tf_data_raises_is_its_own():
    def fails():
        yield 1
        raise KeyError("mine")

    undo, dataset = Undo(), of_squares(fails)
    stand_ins.time_source(_Adapter(dataset), undo)
    with pytest.raises(tf.errors.UnknownError, match="mine"):
        list(dataset)
    undo.run()


@pytest.mark.parametrize(
    "make",
    [
        lambda: tf.data.Dataset.range(5),
        lambda: tf.data.Dataset.range(5).flat_map(tf.data.Dataset.from_tensors),
        lambda: tf.data.Dataset.zip((of_squares(), of_squares())),
        lambda: None,
    ],
    ids=["none", "a map of datasets", "two", "no dataset"],
)
def test_where_there_is_not_one_generator_nothing_is_timed(make):
    assert stand_ins.tf_generator_of(_Adapter(make())) is None


def test_a_generator_without_a_name_is_called_one():
    undo, dataset = Undo(), of_squares(lambda: iter([1]))
    assert stand_ins.time_source(_Adapter(dataset), undo).facts().name == "generator"
    undo.run()


def test_calls_are_counted_and_batches_sized():
    clock = SourceClock("Mine.__getitem__")
    batch = (np.zeros((8, 4), "float32"), np.zeros((8,), "int64"))
    assert clock.timed(lambda: batch) is batch
    clock.timed(lambda: batch)
    facts = clock.facts()
    assert (facts.name, facts.calls, facts.hot_spots) == ("Mine.__getitem__", 2, ())
    assert (clock.batch_size, clock.batch_bytes) == (8, 8 * 4 * 4 + 8 * 8)


def test_what_raises_is_counted_too():
    clock = SourceClock("generator")
    with pytest.raises(StopIteration):
        clock.timed(lambda: next(iter(())))
    assert clock.facts().calls == 1
    assert not clock.running


def seen_for(clock, batch_s, batches, samples, callee):
    """An epoch in which a batch took so long, and samples found the code in this callee."""
    tally = clock._now
    tally.calls, tally.wall_ns, tally.cpu_ns = batches, int(batches * batch_s * 1e9), 0
    tally.stacks[("load", "mine.py", 1, callee, "PIL")] = tally.samples = tally.held = samples


@pytest.mark.parametrize(
    ("batch_s", "samples", "callees"),
    [
        (0.04, 40, {"roll"}),  # enough samples of what recurs
        (0.04, 10, {"open", "roll"}),  # too few, and the first epoch was no different
        (0.004, 40, {"roll"}),
        (0.004, 10, set()),  # too few, and the first epoch was: a cache was filled in it
    ],
)
def test_the_first_epoch_is_set_aside(batch_s, samples, callees):
    clock = SourceClock("Mine.__getitem__")
    clock.epoch_over()  # before the first, and so no end of one
    seen_for(clock, 0.05, 20, 50, "open")
    assert clock.facts().calls == 20
    clock.epoch_over()
    assert (clock.facts().calls, len(clock.facts().hot_spots)) == (20, 1)  # nothing yet of what recurs
    seen_for(clock, batch_s, 10, samples, "roll")
    clock.epoch_over()  # the third goes to the second
    facts = clock.facts()
    assert (facts.calls, facts.wall_s) == (10, pytest.approx(10 * batch_s))
    assert {spot.callee for spot in facts.hot_spots} == callees
    assert (facts.gil_share is None) == (not callees)


@pytest.mark.parametrize("on", [True, False])
def test_no_garbage_is_collected_under_the_lock_of_all_threads(monkeypatch, on):
    seen = []
    monkeypatch.setattr(source, "_COLLECTS_UNDER_LOCK", True)  # as in Python 3.11
    monkeypatch.setattr(sys, "_current_frames", lambda: seen.append(gc.isenabled()) or {})
    clock = SourceClock("generator")
    clock.running[1] = (0, 0)
    (gc.enable if on else gc.disable)()
    try:
        clock.sample()
        assert (seen, gc.isenabled()) == ([False], on)
    finally:
        gc.enable()


def test_samples_leave_nothing_to_the_garbage_collector():
    """Else it would be in a cycle with the frames of all threads, and keep what they hold."""
    clock, inside, leave = SourceClock("generator"), threading.Event(), threading.Event()
    worker = threading.Thread(target=clock.timed, args=(lambda: (inside.set(), leave.wait()),))
    worker.start()
    inside.wait()
    gc.collect()
    gc.disable()
    try:
        for _ in range(3):
            assert clock.sample()
        assert gc.collect() == 0
    finally:
        gc.enable()
        leave.set()
        worker.join()


def first_line_of(function):
    return function.__code__.co_firstlineno


def rows_in_a_comprehension(table):
    return [
        table[row]
        for row in range(3)
    ]  # fmt: skip


@pytest.mark.parametrize(("inlines", "name"), [(True, "rows.<locals>.<listcomp>"), (False, "rows")])
def test_a_comprehension_is_told_whether_it_has_a_frame_or_not(monkeypatch, inlines, name):
    monkeypatch.setattr(source, "_INLINES_COMPREHENSIONS", inlines)  # as from Python 3.12 on
    clock = SourceClock("generator")
    seen_for(clock, 0.04, 10, 40, "")
    line = first_line_of(rows_in_a_comprehension) + 2
    clock._now.stacks = collections.Counter({("rows", __file__, line, "", ""): 40, ("rows", __file__, 1, "", ""): 10})
    assert [spot.function for spot in clock.facts().hot_spots] == [name, "rows"]


def seen_in(make, module="pandas.core"):
    """Where a sample finds the code that makes batches while it is in a library that calls itself so."""
    seen = []
    library = {"__name__": module, "see": lambda frame: seen.append(source._locate(frame)), "sys": sys}
    exec(compile("def take():\n    see(sys._getframe())", "<pandas>", "exec"), library)
    SourceClock("generator").timed(lambda: make(library["take"]))
    (found,) = seen
    return found


def one_row(take):
    return take()


def all_at_once(take):
    return one_row(take)


def row_by_row(take):
    for _ in range(1):
        row = one_row(take)
    return row


def row_by_row_itself(take):
    for _ in range(1):
        row = take()
    return row


def test_a_mapped_file_is_told_from_an_archive():
    assert seen_in(one_row, "numpy._core.memmap")[3:] == ("memmap.take", "numpy")
    assert seen_in(one_row, "numpy.lib._npyio_impl")[3:] == ("take", "numpy")


@pytest.mark.parametrize(
    ("make", "function"),
    [
        (all_at_once, "one_row"),
        (row_by_row, "one_row.<locals>.<loop>"),
        (row_by_row_itself, "row_by_row_itself.<locals>.<loop>"),
    ],
)
def test_what_asks_pandas_row_by_row_is_told(make, function):
    spot = seen_in(make)
    assert (spot[0], spot[3], spot[4]) == (function, "take", "pandas")


def passing():
    while True:
        for _ in range(3):
            yield (np.zeros((8, 4), "float32"),)


def drawing():
    while True:
        yield (np.random.default_rng().normal(size=(8, 4)),)


class _Loop:
    """What `input_facts` asks of a fit."""

    def __init__(self, adapter, **arguments):
        self.adapter, self.arguments = adapter, arguments


@pytest.mark.parametrize(
    ("make", "options"), [(passing, {"generator": "passes"}), (drawing, {}), (lambda: iter([(np.zeros(3),)] * 3), {})]
)
def test_a_generator_that_passes_again_is_told_under_the_clock_as_well(make, options):
    adapter, undo = GeneratorDataAdapter(make()), Undo()
    loop = _Loop(adapter)
    assert facts.input_facts(Data(), loop).options == options
    assert stand_ins.time_source(adapter, undo) is not None
    assert facts.input_facts(Data(), loop).options == options
    assert len(next(adapter.generator())) == 1
    undo.run()
    assert facts.input_facts(Data(), loop).options == options


@pytest.mark.parametrize(
    ("arguments", "options"),
    [
        ({"shuffle": True, "validation_split": 0.0}, {}),
        ({"shuffle": False}, {"shuffle": "False"}),
        ({"shuffle": "batch"}, {"shuffle": "batch"}),
        ({"shuffle": True, "sample_weight": np.ones(8, "float32")}, {"sample_weight": "True"}),
        ({"shuffle": True, "class_weight": {0: 1.0, 1: 2.0}}, {}),
        ({"shuffle": True, "validation_split": 0.25}, {"validation_split": "0.25"}),
    ],
)
def test_what_fit_does_with_arrays(arguments, options):
    given = {name: value for name, value in arguments.items() if name != "validation_split"}
    adapter = ArrayDataAdapter(np.zeros((8, 4)), np.zeros(8, "int64"), **given)
    assert facts.input_facts(Data(), _Loop(adapter, **arguments)).options == options


def test_samples_find_the_users_line():
    clock, inside, leave, stop = SourceClock("generator"), threading.Event(), threading.Event(), threading.Event()

    def read_slowly():
        inside.set()
        leave.wait()

    worker = threading.Thread(target=clock.timed, args=(read_slowly,))
    worker.start()
    inside.wait()
    while not clock.sample():
        pass
    leave.set()
    worker.join()
    assert not clock.sample()  # nothing runs now
    (spot,) = clock.facts().hot_spots
    assert spot.function.endswith("read_slowly")
    assert spot.file == __file__
    assert (spot.callee, spot.library, spot.share) == ("wait", "threading", 1.0)
    stop.set()
    sample_source(clock, stop)  # returns at once


def test_a_dataset_that_is_timed_is_pickled_as_the_users_own():
    """Keras sends all datasets that workers share to the processes of any of them."""
    timed = stand_ins._TimedDataset(collections.Counter("aab"), SourceClock("Counter.__getitem__"))
    assert timed["a"] == 2
    assert pickle.loads(pickle.dumps(timed)) == {"a": 2, "b": 1}


def test_a_line_that_reads_by_c_is_told_as_reading(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text("import pickle\n\ndef load(path):\n    return pickle.load(open(path, 'rb'))\n")
    clock = SourceClock("Mine.__getitem__")
    clock.epoch_over()
    tally = clock._now
    tally.calls, tally.wall_ns, tally.samples = 20, 10**9, 40
    tally.stacks[("load", str(file), 4, "", "")] = 40
    (spot,) = clock.facts().hot_spots
    assert (spot.callee, spot.library, spot.given_the_same) == ("load", "pickle", False)
