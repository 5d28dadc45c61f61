"""What stands in for the user's datasets, loaders and generators while a fit runs, to time the batches they make."""

import itertools
import operator
from collections.abc import Callable, Iterator
from types import GeneratorType
from typing import Any

from tb_trainspeed.probes.fit_loop import Undo
from tb_trainspeed.probes.source import SourceClock

_MAX_STAGES = 64


class _TimedDataset:
    """Stands in for a PyDataset inside Keras' adapter, to time `__getitem__` without touching its class."""

    def __init__(self, dataset: Any, clock: SourceClock):
        self._dataset, self._clock = dataset, clock

    def __getitem__(self, index: int) -> Any:
        return self._clock.timed(lambda: self._dataset[index])

    def __getattr__(self, name: str) -> Any:
        return getattr(self._dataset, name)

    def __reduce__(self) -> tuple[Any, ...]:
        # Keras keeps datasets in a place that it sends to the processes of another one: there it is the user's own.
        return operator.itemgetter(0), ((self._dataset,),)


def users_own(dataset: Any) -> Any:
    """The dataset that the user made, without our clock."""
    return dataset._dataset if isinstance(dataset, _TimedDataset) else dataset


class _TimedLoader:
    """Stands in for a torch `DataLoader` without workers inside Keras' adapter."""

    def __init__(self, loader: Any, clock: SourceClock):
        self._loader, self._clock = loader, clock

    def __iter__(self) -> Iterator[Any]:
        # Now, and not at its first batch: who asks for an iterator draws the seed of its shuffling, whether it is read
        # or not.
        return _timed_iterator(iter(self._loader), self._clock)

    def __len__(self) -> int:
        return len(self._loader)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)


class _TimedGenerator:
    """Stands in for what starts a generator inside Keras' adapter."""

    def __init__(self, make: Callable[[], Any], clock: SourceClock):
        self.make, self._clock = make, clock

    def __call__(self) -> Iterator[Any]:
        return _timed_iterator(iter(self.make()), self._clock)


def _timed_iterator(iterator: Iterator[Any], clock: SourceClock) -> Iterator[Any]:
    end = object()
    while (item := clock.timed(lambda: next(iterator, end))) is not end:
        yield item


class _TimedElements:
    """Stands in for the iterator of a generator that a tf.data pipeline begins with."""

    __slots__ = ("_clock", "_iterator")

    def __init__(self, iterator: Iterator[Any], clock: SourceClock):
        self._iterator, self._clock = iterator, clock

    def __next__(self) -> Any:
        return self._clock.one_of(self._iterator)


def tf_generator_of(adapter: Any) -> Any:
    """What TensorFlow keeps of the generator that the user's tf.data pipeline begins with, its `_generator` and
    `get_iterator`; `None` where there is none, or more than one.
    """
    nodes: list[Any] = [getattr(adapter, "_dataset", None)]
    found: list[Any] = []
    for node in itertools.islice(nodes, _MAX_STAGES):  # which grows
        made = getattr(getattr(node, "_map_func", None), "_func", None)
        if getattr(made, "__module__", "").endswith(".from_generator_op"):
            held = [each for function in _held(made) for each in _held(function)]
            found += [each for each in held if hasattr(each, "get_iterator")][:1]
        nodes += node._inputs() if hasattr(node, "_inputs") else []
    return found[0] if len(found) == 1 else None


def time_source(adapter: Any, undo: Undo) -> SourceClock | None:
    """Puts clocks around the Python code that makes batches, where the adapter has such code in this process."""
    kind = type(adapter).__name__
    if kind == "PyDatasetAdapter" and not (adapter.enqueuer and adapter.py_dataset.use_multiprocessing):
        dataset = adapter.py_dataset
        clock = SourceClock(f"{type(dataset).__name__}.__getitem__")
        undo.replace(adapter.enqueuer or adapter, "py_dataset", _TimedDataset(dataset, clock))
        return clock
    if kind == "GeneratorDataAdapter":
        clock = SourceClock("generator")
        undo.replace(adapter, "generator", _TimedGenerator(adapter.generator, clock))
        return clock
    if kind == "TorchDataLoaderAdapter" and adapter._dataloader.num_workers == 0:
        loader = adapter._dataloader
        clock = SourceClock(f"{type(loader.dataset).__name__}.__getitem__")
        undo.replace(adapter, "_dataloader", _TimedLoader(loader, clock))
        return clock
    state = tf_generator_of(adapter)
    if state and "get_iterator" not in vars(state):  # else another fit, in another thread, has the same dataset
        iterators = state.get_iterator
        name = getattr(state._generator, "__name__", "<")
        clock = SourceClock("generator" if name.startswith("<") else name, elements=True)
        undo.replace(state, "get_iterator", lambda iterator_id: _TimedElements(iterators(iterator_id), clock))
        return clock
    return None


def generators_of(adapter: Any) -> list[Any]:
    """The user's generator that `fit` was given, if it was."""
    make = getattr(adapter, "generator", None)
    make = make.make if isinstance(make, _TimedGenerator) else make
    return [one for one in _held(make) if isinstance(one, GeneratorType)]


def _held(function: Any) -> list[Any]:
    return [cell.cell_contents for cell in getattr(function, "__closure__", None) or ()]
