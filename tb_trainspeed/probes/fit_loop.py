"""The objects of Keras' fit loop, and clocks around its callbacks.

The only module that knows the private names of Keras' loop. Where they are not there, the caller gets `None` and the
matching facts are *not measured*.
"""

import contextlib
import dataclasses
import functools
import operator
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Mapping
from types import CodeType, FrameType
from typing import Any

from tb_trainspeed.recorder import FitRecorder, HookRow

HOOKS = tuple(
    f"on_{of}_{edge}" for of in ("train", "train_batch", "epoch", "test", "test_batch") for edge in ("begin", "end")
)
_ARGUMENTS = (
    "validation_data", "validation_freq", "validation_steps", "validation_batch_size", "batch_size", "epochs",
    "initial_epoch", "shuffle", "steps_per_epoch", "sample_weight", "validation_split",
)  # fmt: skip
_MAX_FRAMES = 40


@dataclasses.dataclass(frozen=True)
class FitLoop:
    """What a running `fit` holds in its local variables.

    Its list of callbacks is not kept alive: when that dies, the fit is over. `callers` are the code and the lines from
    which it was called, the innermost first.
    """

    callback_list: "weakref.ref[Any]"
    callbacks: tuple[Any, ...]
    epoch_iterator: Any
    arguments: Mapping[str, Any]
    callers: tuple[tuple[CodeType, int], ...] = ()

    @property
    def adapter(self) -> Any:
        return getattr(self.epoch_iterator, "data_adapter", None)

    def steps_beyond_data(self) -> int:
        """How many steps of the last call of the train function had no data left: Keras counts whole calls."""
        iterator = self.epoch_iterator
        batches = getattr(iterator, "_num_batches", None)
        return max(0, getattr(iterator, "_steps_seen", 0) - batches) if isinstance(batches, int) else 0


class Undo:
    """What has to be put back when the fit is over. Safe to run twice."""

    def __init__(self) -> None:
        self._actions: list[Callable[[], object]] = []

    def add(self, action: Callable[[], object]) -> None:
        self._actions.append(action)

    def replace(self, owner: Any, name: str, value: Any) -> None:
        """Sets an instance attribute until `run`, past `__setattr__`: Keras tracks what is assigned to a model."""
        attributes = vars(owner)
        missing = object()
        before = attributes.get(name, missing)

        def restore() -> None:
            if attributes.get(name) is value:  # else somebody replaced it after us, and it is theirs now
                if before is missing:
                    del attributes[name]
                else:
                    attributes[name] = before

        self.add(restore)
        attributes[name] = value

    def replace_item(self, items: list[Any], item: Any, value: Any) -> None:
        """Puts another object into the place of this one until `run`."""

        def put(old: Any, new: Any) -> None:
            for index, found in enumerate(items):
                if found is old:
                    items[index] = new

        self.add(lambda: put(value, item))
        put(item, value)

    def run(self) -> None:
        while self._actions:
            with contextlib.suppress(Exception):  # one that fails must not keep the others from being put back
                self._actions.pop()()


def find_fit_loop() -> FitLoop | None:
    """Finds the `fit` that is calling us, by walking the frames outwards from a callback's `on_train_begin`."""
    frame: FrameType | None = sys._getframe(1)
    found: Any = None
    for _ in range(_MAX_FRAMES):
        if frame is None:
            return None
        named = (*frame.f_code.co_varnames, *frame.f_code.co_cellvars)
        if owner := _list_in(frame):
            found = owner
        elif found and "callbacks" in named and "epoch_iterator" in named:
            names: Mapping[str, Any] = frame.f_locals
            if found is names.get("callbacks") and "epoch_iterator" in names:
                arguments = {name: names.get(name) for name in _ARGUMENTS}
                callers = _callers(frame)
                callbacks = tuple(names["callbacks"].callbacks)
                return FitLoop(weakref.ref(found), callbacks, names["epoch_iterator"], arguments, callers)
        frame = frame.f_back
    return None


def list_of_callbacks() -> "weakref.ref[Any] | None":
    """Finds the list of callbacks that is calling us, in whatever loop."""
    frame: FrameType | None = sys._getframe(1)
    for _ in range(_MAX_FRAMES):
        if frame is None:
            return None
        if owner := _list_in(frame):
            return weakref.ref(owner)
        frame = frame.f_back
    return None


def _list_in(frame: FrameType) -> Any:
    """The list of callbacks whose `on_train_begin` this is.

    Other frames are not asked for their variables, which would keep what they hold alive.
    """
    owner = frame.f_locals.get("self") if frame.f_code.co_name == "on_train_begin" else None
    return owner if hasattr(owner, "callbacks") else None


def _callers(frame: FrameType) -> tuple[tuple[CodeType, int], ...]:
    """Code and lines alone, for the same reason."""
    places: list[tuple[CodeType, int]] = []
    caller = frame.f_back
    while caller is not None and len(places) < _MAX_FRAMES:
        places.append((caller.f_code, caller.f_lineno))
        caller = caller.f_back
    return tuple(places)


def watch_end(callback_list: "weakref.ref[Any]", undo: Undo, ended: Callable[[str], None]) -> None:
    """Calls `ended("finished")` after all callbacks have had their `on_train_end`, or `ended("interrupted")`.

    A `fit` that raises never calls `on_train_end`. What raises among its steps passes through `catch_stop_iteration`,
    what raises in hooks and validation through our clocks there; for the rest, and for a Ctrl-C between all these, the
    list of callbacks dies with its `fit`.
    """

    def around(call: Callable[[], None]) -> None:
        status = "interrupted"
        try:
            call()
            status = "finished"
        finally:
            ended(status)

    _put_around(callback_list, undo, "on_train_end", around)
    finalizer = weakref.finalize(callback_list(), ended, "interrupted")
    undo.add(finalizer.detach)


def watch_logs(loop: FitLoop, recorder: FitRecorder, undo: Undo) -> None:
    """Tells when Keras is about to read the logs of an epoch, and of its validation; and when no epoch follows."""

    def around(call: Callable[[], None]) -> None:
        recorder.epoch_logs_read()
        call()

    def around_end(call: Callable[[], None]) -> None:
        recorder.safely(recorder.epochs_over)
        call()

    _put_around(loop.callback_list, undo, "on_epoch_end", around)
    _put_around(loop.callback_list, undo, "on_train_end", around_end)


def _put_around(
    reference: "weakref.ref[Any]", undo: Undo, name: str, around: Callable[[Callable[[], None]], None]
) -> None:
    """Puts `around` around a method of the list of callbacks, which does not keep the list alive."""
    callback_list: Any = reference()
    kind, replaced = type(callback_list), vars(callback_list).get(name)

    def method(*args: Any, **kwargs: Any) -> None:
        if replaced:
            around(lambda: replaced(*args, **kwargs))
        else:  # not as a bound method
            around(lambda: getattr(kind, name)(reference(), *args, **kwargs))

    undo.replace(callback_list, name, method)


def watch_epochs(
    loop: FitLoop, undo: Undo, begin: Callable[[], None], end: Callable[[], None], failed: Callable[[], None]
) -> None:
    """Calls `begin` just before the first step of an epoch, `end` after the last, `failed` when an exception ends it.

    On torch the loop over the steps is not guarded as a whole, only each fetch: there it is the fetches.
    """
    original = loop.epoch_iterator.catch_stop_iteration

    @contextlib.contextmanager
    def catch_stop_iteration() -> Iterator[None]:
        begin()
        try:
            with original():
                yield
        except BaseException:
            failed()
            raise
        end()

    undo.replace(loop.epoch_iterator, "catch_stop_iteration", catch_stop_iteration)


class _TimedCallback:
    """Stands in for a callback in Keras' list, with clocks in its hooks; in all else it is the callback.

    The callback itself is left alone, for it may be copied, compared and pickled by whom it belongs to.
    """

    def __init__(self, callback: Any, hooks: Mapping[str, Callable[..., Any]]):
        vars(self).update(hooks, _callback=callback)

    @property  # type: ignore[misc]  # for `isinstance`
    def __class__(self) -> Any:
        return type(self._callback)

    def __getattr__(self, name: str) -> Any:
        return getattr(vars(self)["_callback"], name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._callback, name, value)

    def __eq__(self, other: object) -> bool:
        return bool(self._callback == getattr(other, "_callback", other))

    def __hash__(self) -> int:
        return hash(self._callback)

    def __reduce__(self) -> tuple[Any, ...]:
        return operator.itemgetter(0), ((self._callback,),)


def time_callbacks(loop: FitLoop, recorder: FitRecorder, undo: Undo, failed: Callable[[], None]) -> None:
    """Puts a clock around every hook that the callbacks override, and gives each its row in the recorder.

    An exception in a hook that Keras calls ends the fit: `failed` is called.
    """
    callback_list: Any = loop.callback_list()
    seen: dict[str, int] = {}
    for callback in loop.callbacks:
        if hasattr(callback, "_trainspeed"):
            continue
        kind = type(callback).__name__
        seen[kind] = seen.get(kind, 0) + 1
        label = kind if seen[kind] == 1 else f"{kind} #{seen[kind]}"
        hooks: dict[str, Callable[..., Any]] = {}
        for hook in HOOKS:
            overridden = _overridden(callback, hook)
            if overridden:
                row = recorder.row(label, overridden, _phase(callback, overridden))
                hooks[hook] = _timed_hook(callback, hook, row, recorder, failed)
        if hooks:
            undo.replace_item(callback_list.callbacks, callback, _TimedCallback(callback, hooks))


def _overridden(callback: Any, hook: str) -> str | None:
    """The method behind a hook that Keras calls, if that is not the empty one of Keras."""
    names = [hook]
    if hook.startswith("on_train_batch"):  # which calls the older name, where it is not overridden itself
        names.append(hook.replace("train_", ""))
    for name in names:
        method = getattr(callback, name, None)
        if callable(method) and not getattr(method, "_is_default", False):
            return name
    return None


def saves_state(callback: Any) -> bool:
    """Whether the callback writes checkpoints: Keras' own two, their subclasses, and others by their name."""
    names = {kind.__name__ for kind in type(callback).__mro__}
    return bool(names & {"ModelCheckpoint", "BackupAndRestore"}) or "Checkpoint" in type(callback).__name__


def _phase(callback: Any, hook: str) -> str:
    if hook.startswith("on_test"):
        return "validation"
    return "checkpointing" if saves_state(callback) else "callbacks"


def _timed_hook(
    callback: Any, name: str, row: HookRow, recorder: FitRecorder, failed: Callable[[], None]
) -> Callable[..., Any]:
    owner = threading.get_ident()

    @functools.wraps(getattr(callback, name))
    def hook(*args: Any, **kwargs: Any) -> Any:
        method = getattr(callback, name)  # which may be replaced while the fit runs
        if threading.get_ident() != owner:
            return method(*args, **kwargs)
        outer, recorder.active_row = recorder.active_row, row
        begin = recorder.enter(row)
        try:
            result = method(*args, **kwargs)
        except BaseException:
            recorder.leave(row, begin)
            if outer is None:  # else the hook around it may catch the exception
                failed()
            raise
        finally:
            recorder.active_row = outer
        recorder.leave(row, begin)
        return result

    return hook


def time_nested_calls(model: Any, recorder: FitRecorder, undo: Undo, failed: Callable[[], None]) -> None:
    """Counts what is called from inside hooks and may be dear there. The `evaluate` of `fit` itself is none of it.

    An exception in the latter ends the fit: `failed` is called.
    """
    for name in ("predict", "evaluate", "get_weights"):
        undo.replace(model, name, _timed_nested(getattr(model, name), name, recorder, failed))


def _timed_nested(
    method: Callable[..., Any], name: str, recorder: FitRecorder, failed: Callable[[], None]
) -> Callable[..., Any]:
    owner = threading.get_ident()

    @functools.wraps(method)
    def nested(*args: Any, **kwargs: Any) -> Any:
        row = recorder.active_row
        if threading.get_ident() != owner:
            return method(*args, **kwargs)
        if row is None or row.hook.startswith("on_test"):
            try:
                return method(*args, **kwargs)
            except BaseException:
                if row is None:
                    failed()
                raise
        begin = time.perf_counter_ns()
        try:
            return method(*args, **kwargs)
        finally:
            recorder.nested_call(row, name, time.perf_counter_ns() - begin)

    return nested


def time_validation_steps(model: Any, recorder: FitRecorder, undo: Undo) -> None:
    """Puts a clock around the test function for the duration of a validation."""
    original = model.test_function

    @functools.wraps(original)
    def test_function(*args: Any) -> Any:
        begin = time.perf_counter_ns()
        result = original(*args)
        recorder.validation_call(time.perf_counter_ns() - begin)
        return result

    undo.replace(model, "test_function", test_function)


_trained: "weakref.WeakKeyDictionary[Any, tuple[int, int, int, Any]]" = weakref.WeakKeyDictionary()


# By program and kind, how many models of the same layers and shapes were fitted. A cell of a notebook that is run again
# is another program, though it is equal: so they are told by their identity, and kept for that.
_alike: dict[tuple[int, int], tuple[CodeType | None, int]] = {}
_MOST_KINDS = 1000


def count_fits(model: Any, program: CodeType | None = None) -> tuple[int, int, int]:
    """Returns which fit of this model it is, from 1; how often its train function was made anew since the first; and
    how many other models of the same layers and shapes had been fitted before it from the same program.

    To be called before the train function is replaced by one with clocks.
    """
    fits, remade, alike, last = _trained.get(model, (0, 0, 0, None))
    remade += last is not None and last() is not model.train_function
    if not fits:
        layers = model._flatten_layers(include_self=False)
        kind = hash(tuple((type(layer).__name__, *(tuple(one.shape) for one in layer.weights)) for layer in layers))
        key = id(program), kind
        _, alike = _alike.get(key, (program, 0))
        if alike or len(_alike) < _MOST_KINDS:
            _alike[key] = program, alike + 1
    _trained[model] = fits + 1, remade, alike, weakref.ref(model.train_function)
    return fits + 1, remade, alike


def forget_models() -> None:
    """What is fitted from here on is no further turn of a loop."""
    _alike.clear()


def live_models() -> int:
    """Returns how many of the models whose fits were counted are still in memory."""
    return len(_trained)
