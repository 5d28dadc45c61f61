"""The clock charges every nanosecond once."""

import itertools
import random
import threading

from tb_trainspeed.recorder import PhaseClock


class Ticks:
    """A clock that stands still until told."""

    def __init__(self):
        self.ns = 1000

    def __call__(self):
        return self.ns


def test_exact_totals():
    now = Ticks()
    clock = PhaseClock("startup", now)
    now.ns += 5
    clock.switch("call")
    now.ns += 7
    clock.push("hook")
    now.ns += 11
    clock.push("gc")
    now.ns += 13
    clock.pop()
    now.ns += 17
    clock.pop()
    now.ns += 19
    assert clock.read() == (1072, {"startup": 5, "call": 7 + 19, "hook": 11 + 17, "gc": 13})


def test_switch_below_a_pushed_slot():
    now = Ticks()
    clock = PhaseClock("startup", now)
    clock.push("hook")
    now.ns += 3
    clock.switch("validation")  # as when a hook is running while validation begins
    now.ns += 5
    clock.pop()
    now.ns += 7
    assert clock.read()[1] == {"startup": 0, "hook": 8, "validation": 7}


def test_a_start_in_the_past():
    now = Ticks()
    assert PhaseClock("startup", now, start_ns=400).read() == (1000, {"startup": 600})


def test_pop_of_nothing_keeps_the_base():
    now = Ticks()
    clock = PhaseClock("startup", now)
    clock.pop()
    now.ns += 2
    assert clock.read()[1] == {"startup": 2}


def test_move_keeps_the_sum():
    now = Ticks()
    clock = PhaseClock("call", now)
    now.ns += 10
    clock.switch("gap")
    clock.move("call", "compilation", 4)
    assert clock.read()[1] == {"call": 6, "compilation": 4, "gap": 0}


def test_totals_always_add_up():
    now, rng = Ticks(), random.Random(0)
    clock = PhaseClock("a", now)
    for _ in range(2000):
        now.ns += rng.randint(0, 50)
        rng.choice([lambda: clock.push(rng.choice("bcd")), clock.pop, lambda: clock.switch(rng.choice("aef"))])()
        assert sum(clock.totals.values()) == now.ns - 1000


def test_reading_from_another_thread_is_consistent():
    clock = PhaseClock("a", itertools.count(0, 3).__next__, start_ns=0)
    torn = []
    stop = threading.Event()

    def read():
        while not stop.is_set():
            at, totals = clock.read()
            if sum(totals.values()) != at:
                torn.append((at, totals))

    reader = threading.Thread(target=read)
    reader.start()
    for _ in range(20_000):
        clock.push("b")
        clock.switch("c")
        clock.pop()
        clock.switch("a")
    stop.set()
    reader.join()
    assert torn == []
