"""A fit on a fake clock, played step by step into a recorder."""

import pytest

from tb_trainspeed.profile import Profile
from tb_trainspeed.recorder import FitRecorder

MS = 1_000_000


class PlayedFit:
    """Calls the recorder as the probes do. All durations are milliseconds."""

    def __init__(self):
        self.now_ns = 0
        self.cpu_ns = 0
        #: CPU time of the main thread, while `computes`.
        self.thread_ns, self.computes = 0, False
        self.recorder = FitRecorder(
            0, now=lambda: self.now_ns, cpu_now=lambda: self.cpu_ns, thread_now=lambda: self.thread_ns
        )

    def spend(self, ms, gc=0):
        """Lets time pass, the last `gc` of it in the garbage collector."""
        self.now_ns += round((ms - gc) * MS)
        self.cpu_ns += round(ms * MS)
        self.thread_ns += round(ms * MS) if self.computes else 0
        if gc:
            self.recorder.clock.push("gc")
            self.now_ns += round(gc * MS)
            self.recorder.clock.pop()

    def step(
        self, wait=0.0, compute=10.0, gap=0.0, traced=False, gc_in_fetch=0.0, gc_in_call=0.0, ready=1.0, batch=None
    ):
        self.recorder.step_begin(True)
        fetch = ready + wait + gc_in_fetch
        self.spend(fetch, gc_in_fetch)
        self.recorder.fetched(round(fetch * MS), round(ready * MS))
        self.spend(compute + gc_in_call, gc_in_call)
        self.recorder.step_end(lambda: traced, None, batch)
        self.spend(gap)

    def end_of_data(self, ms):
        """The call that finds that the epoch is over."""
        self.recorder.step_begin(True)
        self.spend(ms)
        self.recorder.step_abort()

    def hook(self, row, ms):
        begin = self.recorder.enter(row)
        self.spend(ms)
        self.recorder.leave(row, begin)

    def validation(self, calls=3, call=5.0, first=5.0, around=1.0):
        self.recorder.validation_begin()
        self.spend(around)
        for duration in [first, *[call] * (calls - 1)]:
            self.spend(duration)
            self.recorder.validation_call(round(duration * MS))
        self.recorder.validation_end()

    def profile(self):
        return self.recorder.fill(Profile())


@pytest.fixture
def played():
    return PlayedFit()
