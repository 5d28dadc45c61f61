"""The table of callbacks: one row a hook, and what was called on the model inside it."""

import dataclasses
from collections.abc import Hashable, Mapping

from tb_trainspeed.profile import Hook, NestedCall


@dataclasses.dataclass(eq=False)
class HookRow:
    """One hook of one callback; it is its own slot of the clock."""

    callback: str
    hook: str
    phase: str
    calls: int = 0
    max_ns: int = 0

    def __post_init__(self) -> None:
        #: Whether it is called in every step.
        self.of_batch = "batch" in self.hook and not self.hook.startswith("on_test")
        #: CPU time of the thread when the call that runs began, and what those calls computed that were watched; ns.
        self.thread_ns: int | None = None
        self.computed_ns = self.watched_ns = 0


class HookTable:
    """Counts the calls of hooks, and of what may be dear in them."""

    def __init__(self) -> None:
        self.rows: list[HookRow] = []
        self._nested: dict[tuple[HookRow, str], list[int]] = {}

    def add(self, callback: str, hook: str, phase: str) -> HookRow:
        """Returns a new row."""
        self.rows.append(HookRow(callback, hook, phase))
        return self.rows[-1]

    def nested_call(self, row: HookRow, function: str, duration_ns: int) -> None:
        """A method of the model that may be dear was called inside a hook."""
        entry = self._nested.setdefault((row, function), [0, 0])
        entry[0] += 1
        entry[1] += duration_ns

    def hooks(self, totals: Mapping[Hashable, int]) -> tuple[Hook, ...]:
        """Returns the hooks that were called; `totals` is what the clock charged to each, ns."""
        return tuple(
            Hook(r.callback, r.hook, r.phase, r.calls, totals.get(r, 0) * 1e-9, r.max_ns * 1e-9)
            for r in list(self.rows)
            if r.calls
        )

    def nested_calls(self) -> tuple[NestedCall, ...]:
        return tuple(
            NestedCall(row.callback, row.hook, function, calls, total * 1e-9)
            for (row, function), (calls, total) in list(self._nested.items())
        )
