"""When `fit` was called.

A callback first hears of a fit when its data are already wrapped and its model is built, which can be seconds late. The
first thing `fit` does is to check that the model is compiled; a stamp there sees the beginning, and never shows up in a
traceback of the user's. The stamp lasts as long as there are callbacks to use it.
"""

import functools
import threading
import time
import weakref
from typing import Any

from keras import Model

_CHECK = "_assert_compile_called"
_users: "weakref.WeakSet[Any]" = weakref.WeakSet()
_last = threading.local()


def watch(user: Any) -> None:
    """Notes the beginning of every fit as long as `user` lives."""
    _users.add(user)
    owner = next((kind for kind in Model.__mro__ if _CHECK in vars(kind)), None)
    if owner is None or getattr(vars(owner)[_CHECK], "_trainspeed", False):
        return
    original = vars(owner)[_CHECK]

    @functools.wraps(original)
    def stamped(self: Any, method_name: Any = None) -> Any:
        if method_name == "fit":
            _last.start = time.perf_counter_ns(), weakref.ref(self)
        return original(self, method_name)

    stamped._trainspeed = True  # type: ignore[attr-defined]
    setattr(owner, _CHECK, stamped)
    _until_gone(user, owner, stamped, original)


def _until_gone(user: Any, owner: Any, stamped: Any, original: Any) -> None:
    weakref.finalize(user, _unwatch, owner, stamped, original).atexit = False


def _unwatch(owner: Any, stamped: Any, original: Any) -> None:
    if vars(owner)[_CHECK] is not stamped:
        return
    for user in _users:
        _until_gone(user, owner, stamped, original)
        return
    setattr(owner, _CHECK, original)


def take_start(model: Any) -> int | None:
    """Returns when the fit of `model` that this thread is in began, `perf_counter_ns`, or `None` if that was not seen.

    The stamp of a fit that nobody asked about stays until the next fit of this thread begins.
    """
    start_ns, of = getattr(_last, "start", (None, None))
    if of is None or model is None or of() is not model:
        return None
    _last.start = None, None
    return start_ns
