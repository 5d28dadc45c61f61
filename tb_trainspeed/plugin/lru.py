"""A small cache for the threads of a server."""

import collections
import threading
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

T = TypeVar("T")


class Lru(Generic[T]):
    """The `size` values used last. Each is valid for the stamp it was made with."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._values: collections.OrderedDict[Hashable, tuple[Hashable, T]] = collections.OrderedDict()
        self._lock = threading.Lock()

    def find(self, key: Hashable, stamp: Hashable) -> T | None:
        """The value for `key`, unless it is of another stamp."""
        with self._lock:
            known, value = self._values.get(key, (None, None))
            if value is None or known != stamp:
                return None
            self._values.move_to_end(key)
            return value

    def keep(self, key: Hashable, stamp: Hashable, value: T) -> T:
        """Stores `value` and returns it."""
        with self._lock:
            self._values[key] = (stamp, value)
            self._values.move_to_end(key)
            while len(self._values) > self._size:
                self._values.popitem(last=False)
        return value

    def get(self, key: Hashable, stamp: Hashable, make: Callable[[], T]) -> T:
        """The value for `key`, made if need be; not under the lock, because making one takes a while."""
        value = self.find(key, stamp)
        return self.keep(key, stamp, make()) if value is None else value
