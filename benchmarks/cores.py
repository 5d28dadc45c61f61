"""How fast the cores are, ten times a second, beside what else runs: a neighbour on a shared machine slows them for
seconds, and nothing in `/proc` tells.

    python -m benchmarks.cores FILE
"""

import bisect
import contextlib
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator

from tb_trainspeed.probes.resources import core_work_s

_INTERVAL_S = 0.1


@contextlib.contextmanager
def watched(path: str) -> Iterator[None]:
    """Appends to a file how long the same work takes, as long as this lasts."""
    watcher = subprocess.Popen([sys.executable, "-m", __name__, path])
    try:
        yield
    finally:
        watcher.terminate()
        watcher.wait()


class Cores:
    """What was written while fits ran.

    Args:
        path: the file; without it nothing is known.
    """

    def __init__(self, path: str):
        self._rows: list[tuple[float, float]] = []
        with contextlib.suppress(FileNotFoundError), open(path, encoding="utf-8") as file:
            self._rows = sorted((float(at), float(took)) for at, took in map(str.split, file))
        took = sorted(took for _, took in self._rows)
        self._least_s = took[len(took) // 20] if took else 0.0

    def slowdown(self, begin_s: float, end_s: float) -> float:
        """Returns how many times as long the work took between two times as when the cores were fastest: the mean of
        all cores, against what one sample in twenty stays below. 1 if nobody looked."""
        first, last = (bisect.bisect(self._rows, (at,)) for at in (begin_s, end_s))
        took = [took for _, took in self._rows[first:last]]
        return statistics.mean(took) / self._least_s if took else 1.0


def main(path: str) -> None:
    """Writes until it is stopped. CPU time, so that waiting for a core that is busy does not count."""
    cores = sorted(os.sched_getaffinity(0))
    with open(path, "a", encoding="utf-8", buffering=1) as file:
        while True:
            for core in cores:
                os.sched_setaffinity(0, {core})
                core_work_s()  # what others left in the caches is not the core's speed
                file.write(f"{time.time():.3f} {core_work_s():.7f}\n")
            time.sleep(_INTERVAL_S)


if __name__ == "__main__":
    main(*sys.argv[1:])
