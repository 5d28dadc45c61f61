"""What was used over the run: samples in, columns of equally long buckets out, however long the run is."""

import threading
from collections.abc import Callable, Collection, Mapping

from tb_trainspeed.profile import Usage

BUCKETS = 64
_FIRST_BUCKET_S = 2.0  # two samples at one a second, so that no bucket goes without for a sample that comes late
_Cell = tuple[float, int]


class UsageLog:
    """Samples of many quantities, kept as one cell a bucket. When the buckets run out, they merge pairwise.

    Samples come from one thread; any thread may ask for the facts.

    Args:
        most: names of which a bucket keeps the most.
        least: names of which it keeps the least. Of all others it keeps the mean.
    """

    def __init__(self, most: Collection[str] = (), least: Collection[str] = ()):
        self._most, self._least = frozenset(most), frozenset(least)
        self._bucket_s = _FIRST_BUCKET_S
        self._columns: dict[str, list[_Cell]] = {}
        self._used = 0
        self._lock = threading.Lock()

    def add(self, at_s: float, values: Mapping[str, float | None]) -> None:
        """Adds a sample taken `at_s` seconds after the start of the fit; `None` is not measured."""
        with self._lock:
            while at_s >= self._bucket_s * BUCKETS:
                for name, cells in self._columns.items():
                    merge = self._merge_of(name)
                    pairs = zip(cells[::2], cells[1::2], strict=True)
                    self._columns[name] = [merge(*pair) for pair in pairs] + [(0.0, 0)] * (BUCKETS // 2)
                self._bucket_s *= 2
                self._used = (self._used + 1) // 2
            bucket = max(0, int(at_s / self._bucket_s))
            self._used = max(self._used, bucket + 1)
            for name, value in values.items():
                if value is not None:
                    cells = self._columns.setdefault(name, [(0.0, 0)] * BUCKETS)
                    cells[bucket] = self._merge_of(name)(cells[bucket], (value, 1))

    def facts(self) -> Usage:
        """Returns the columns. What was never measured has none."""
        with self._lock:
            return Usage(
                self._bucket_s,
                {name: tuple(map(self._value_of(name), cells[: self._used])) for name, cells in self._columns.items()},
            )

    def _merge_of(self, name: str) -> Callable[[_Cell, _Cell], _Cell]:
        choose = max if name in self._most else min if name in self._least else None

        def merge(one: _Cell, other: _Cell) -> _Cell:
            if not one[1] or not other[1]:
                return one if one[1] else other
            return (choose(one[0], other[0]) if choose else one[0] + other[0]), one[1] + other[1]

        return merge

    def _value_of(self, name: str) -> Callable[[_Cell], float | None]:
        kept = name in self._most or name in self._least
        return lambda cell: None if not cell[1] else cell[0] if kept else cell[0] / cell[1]
