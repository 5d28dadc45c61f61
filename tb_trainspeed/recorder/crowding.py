"""What a device that is the processor itself loses to what the host computes meanwhile.

On JAX the host runs ahead of the device, and what it does costs nothing while the device is busy: unless the device is
the processor, whose cores both want. What a callback computes then holds the device up for a part of that time.
"""

from collections.abc import Callable, Hashable

from tb_trainspeed.recorder.hooks import HookRow

# Hooks of batches that never took longer are not worth the question how much of their time they computed.
_LONG_HOOK_NS = 1_000_000


class Crowding:
    """Knows how many cores the device uses, and which share of the host's time it loses for want of one.

    Args:
        cores: how many the process may use.
        now: the clock, nanoseconds.
        cpu_now: CPU time of the process, nanoseconds.
        thread_now: CPU time of the thread that runs the fit, nanoseconds.
    """

    def __init__(self, cores: float, now: Callable[[], int], cpu_now: Callable[[], int], thread_now: Callable[[], int]):
        self._cores, self._clocks, self._thread_now = cores, (now, cpu_now, thread_now), thread_now
        self._begin: tuple[int, ...] | None = None
        self._share, self._crowd = 0.0, 1.0
        self._gap: tuple[int, int] | None = None
        self._computing: dict[Hashable, float] = {"gc": 1.0}

    def steps_begin(self) -> None:
        """The first step of an epoch is over."""
        self._begin = self._begin or tuple(clock() for clock in self._clocks)

    def steps_end(self) -> None:
        """The last step of an epoch was handed over: until now the cores that are not the host's were the device's.

        With the host's one they would be `wanted + 1`; what is beyond `cores` each of them goes without. So while the
        host computed, for `host` of the time, the device had what the host left it, and else what it wanted:
        `used = (1 - host) * wanted + host * (cores - 1)`.
        """
        if self._begin:
            elapsed, cpu, thread = (clock() - then for clock, then in zip(self._clocks, self._begin, strict=True))
            used, host = ((cpu - thread) / elapsed, thread / elapsed) if elapsed else (0.0, 0.0)
            left = self._cores - 1
            wanted = min(self._cores, (used - host * left) / (1 - host)) if host < 1 else self._cores
            self._share = min(1.0, (wanted - left) / wanted) if wanted > max(0.0, left) else 0.0
            # Where so many threads share the cores, the host waits for one for a part of the time that it computes.
            self._crowd = max(1.0, (wanted + 1) / self._cores)
            self._begin = None

    def gap_begins(self, at_ns: int) -> None:
        """A step was handed over that may be the last one of its epoch."""
        self._gap = at_ns, self._thread_now()

    def gap_computed(self, at_ns: int) -> float:
        """Returns for what share of the time since then the host had a core; 0 where none was known to be the last."""
        gap, self._gap = self._gap, None
        return min(1.0, (self._thread_now() - gap[1]) / max(1, at_ns - gap[0])) if gap else 0.0

    def computes(self, slot: Hashable, share: float) -> None:
        """From here on the host has a core for such a share of the time it spends there."""
        self._computing[slot] = share

    def enter(self, row: HookRow) -> None:
        """A hook is called."""
        row.thread_ns = self._thread_now() if not row.of_batch or row.max_ns > _LONG_HOOK_NS else None

    def leave(self, row: HookRow, duration_ns: int) -> None:
        """A hook that was entered returned."""
        if row.thread_ns is not None:
            row.computed_ns += self._thread_now() - row.thread_ns
            row.watched_ns += duration_ns

    def lost(self, slot: Hashable) -> float:
        """Returns what share of the time that the host spends there a busy device loses."""
        computing = self._computing.get(slot, 0.0)
        if isinstance(slot, HookRow) and slot.watched_ns:
            computing = slot.computed_ns / slot.watched_ns
        return self._share * min(1.0, self._crowd * computing)
