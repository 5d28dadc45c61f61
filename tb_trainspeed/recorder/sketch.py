"""Quantiles of a stream of durations in constant memory."""

import math

from tb_trainspeed.profile import Quantiles

# Buckets grow by 2 %, so a quantile read from the middle of its bucket is off by at most 1 %: the relative-error sketch
# of Masson, Rim and Lee, "DDSketch", VLDB 2019. A library would cost more a step than all the rest of our clocks.
_GROWTH = 1.02
_SCALE = 1 / math.log(_GROWTH)


class Sketch:
    """A histogram with logarithmic buckets. `add` takes nanoseconds."""

    def __init__(self) -> None:
        self._counts: dict[int, int] = {}
        self.count = 0
        self.total_ns = 0
        self.max_ns = 0

    def add(self, duration_ns: int) -> None:
        bucket = int(math.log(duration_ns if duration_ns > 1 else 1) * _SCALE)
        self._counts[bucket] = self._counts.get(bucket, 0) + 1
        self.count += 1
        self.total_ns += duration_ns
        if duration_ns > self.max_ns:
            self.max_ns = duration_ns

    def quantiles_ns(self, *shares: float) -> list[float]:
        """Returns the durations, ns, below which the given shares (0 to 1) of the stream lie."""
        counts = sorted(self._counts.copy().items())
        total = sum(count for _, count in counts)
        values = []
        for share in shares:
            rank, seen, value = share * max(0, total - 1), 0, 0.0
            for bucket, count in counts:
                seen += count
                if seen > rank:
                    value = _GROWTH ** (bucket + 0.5)
                    break
            values.append(min(value, float(self.max_ns)))
        return values

    def summary(self) -> Quantiles | None:
        """Returns the quantiles that a profile keeps, or `None` when nothing was added."""
        if not self.count:
            return None
        p05, p50, p95, p99 = (value * 1e-9 for value in self.quantiles_ns(0.05, 0.5, 0.95, 0.99))
        mean_s = self.total_ns / self.count * 1e-9
        return Quantiles(self.count, mean_s, p05, p50, p95, p99, self.max_ns * 1e-9)
