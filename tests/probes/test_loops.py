"""Where loops are in code, by its source."""

import pytest

from tb_trainspeed.probes import loops

CODE = """
import itertools
import random

class Rows:
    def __getitem__(self, index):
        rows = self.table.iloc[index : index + 32]  # once
        x = [self.table.iloc[row] for row in rows]  # <listcomp>
        y = {row: [self.table.iloc[row][column] for column in "ab"] for row in rows}  # <listcomp>
        z = {self.table.iloc[row] for row in rows}  # <setcomp>
        w = list(self.table.iloc[row] for row in rows)  # repeated
        for row in rows:
            x.append(self.table.iloc[row])  # repeated
        while len(x) < 32:
            x.append(self.one(0))  # repeated
        return x, y, z, w  # once

    def one(self, row):
        return self.table.iloc[row]  # once

def batches(table):
    while True:
        for begin in range(0, len(table), 32):
            yield table.iloc[begin : begin + 32]  # once

def rows_of_batches(table):
    for begin in range(0, len(table), 32):
        rows = []
        for row in range(begin, begin + 32):
            rows.append(table.iloc[row])  # repeated
        yield rows

table = [one for one in "ab"]  # in no function
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "code.py"
    path.write_text(CODE)
    return str(path)


MARKED = [(number, text) for number, text in enumerate(CODE.splitlines(), 1) if "  # " in text]


@pytest.mark.parametrize(("line", "text"), MARKED, ids=[text.strip() for _, text in MARKED])
def test_lines_in_loops(file, line, text):
    said = text.partition("  # ")[2]
    assert loops.is_in_a_loop(file, line) is (said not in ("once", "in no function"))
    assert loops.comprehension_at(file, line) == (said if said.startswith("<") else "")


def test_without_a_source():
    assert not loops.is_in_a_loop("<cell>", 1)
    assert loops.comprehension_at("<cell>", 1) == ""


GENERATORS = """
def decorated(function):
    return function

@decorated
def passes(paths):
    while True:
        random.shuffle(paths)
        for begin in range(0, len(paths), 32):
            yield paths[begin : begin + 32]

def draws(paths):
    while True:
        yield random.sample(paths, 32)

def draws_one_by_one(paths):
    while True:
        for _ in range(10):
            yield [random.choice(paths) for _ in range(32)]

def takes_from_a_queue(waiting):
    while True:
        for _ in range(10):
            yield waiting.get()

def passes_once(paths):
    for path in paths:
        yield path

def hands_on(paths):
    while True:
        yield from passes_once(paths)

"""


@pytest.mark.parametrize(
    ("name", "passes"),
    [
        ("passes", True),
        ("draws", False),
        ("draws_one_by_one", False),
        ("takes_from_a_queue", False),
        ("passes_once", False),
        ("hands_on", False),
    ],
)
def test_generators_that_pass_over_their_data_again(tmp_path, name, passes):
    path = tmp_path / "generators.py"
    path.write_text(GENERATORS)
    names = {}
    exec(compile(GENERATORS, str(path), "exec"), names)
    assert loops.passes_again(names[name].__code__) is passes


def test_a_generator_without_a_source():
    names = {}
    exec(compile(GENERATORS, "<cell>", "exec"), names)
    assert not loops.passes_again(names["passes"].__code__)
