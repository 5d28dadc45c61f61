"""Whether a line calls something with the same arguments every time, by its source."""

import ast
import contextlib
import gc
import sys
import textwrap
import threading
import traceback

import pytest

from tb_trainspeed.probes.given import is_given_the_same, reads_by, tree_of

CODE = """
import json
import numpy as np

PATH = "table.txt"

def helper(rows):
    return np.loadtxt(PATH, "float32")[rows]  # the same

def through_a_name(rows):
    path = PATH + ".gz"
    with open(path) as file:
        return json.load(file)  # the same

def part_of_a_table(rows):
    return np.loadtxt(PATH, skiprows=rows)  # the same

def load(path):
    return np.loadtxt(path)  # differs

def load_of(index):
    name = f"{index}.npy"
    return np.load(file=name)  # differs

def batches(paths):
    while True:
        for path in PATHS:
            yield np.load(path)  # differs

def from_a_queue():
    return np.load(waiting.get())  # differs

class Table:
    def __getitem__(self, index):
        return process(index, np.load(self.path))  # the same

    def archive(self, index):
        part = np.load(self.path)["x"][index]  # indexes the same
        archive = np.load(self.path)
        part = archive["x"][index], self.y[index]  # indexes the same
        one = np.load(self.paths[index])
        return part, one["x"], self.y[0]  # indexes another
        return self.archive["x"][index]  # indexes what is not known

rows = lambda index: np.load(PATH)[index]  # the same
once = np.load(PATH)  # in no function
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "code.py"
    path.write_text(textwrap.dedent(CODE))
    return str(path)


LINES = [(number, text) for number, text in enumerate(CODE.splitlines(), 1) if "  # " in text]
INDEXED = [(number, text) for number, text in LINES if "  # indexes" in text]
MARKED = [row for row in LINES if row not in INDEXED]


@pytest.mark.parametrize(("line", "text"), MARKED, ids=[text.strip() for _, text in MARKED])
def test_by_the_look_of_it(file, line, text):
    callee = next(name for name in ("loadtxt", "load") if f".{name}(" in text)
    expected = {"the same": True, "differs": False, "in no function": None}[text.partition("  # ")[2]]
    assert is_given_the_same(file, line, callee) is expected


@pytest.mark.parametrize(("line", "text"), INDEXED, ids=[text.strip() for _, text in INDEXED])
def test_what_is_indexed(file, line, text):
    expected = {"the same": True, "another": False, "what is not known": None}[text.partition("  # indexes ")[2]]
    assert is_given_the_same(file, line, "__getitem__") is expected


def test_what_cannot_be_told(file, tmp_path):
    assert is_given_the_same(file, MARKED[0][0], "open") is None
    assert is_given_the_same("<cell>", 1, "load") is None
    broken = tmp_path / "broken.py"
    broken.write_text("def load(:")
    assert is_given_the_same(str(broken), 1, "load") is None


@contextlib.contextmanager
def collecting(callback):
    """As garbage is collected with nearly every object that is made, and `callback` is called."""
    before = gc.get_threshold()
    gc.callbacks.append(callback)
    gc.set_threshold(1)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.callbacks.remove(callback)


def test_source_is_not_parsed_while_another_thread_is_at_it():
    """Or else, on some versions of Python, the other fails: it may be the one that trains."""
    parsed, others = [], []

    def lets_others_in(*_):
        """Within a tree, of which a collection may come early or late."""
        within = any(frame.f_code is ast.parse.__code__ for frame, _ in traceback.walk_stack(sys._getframe()))
        if within and len(others) < 20:
            others.append(threading.Thread(target=lambda: parsed.append(ast.dump(tree_of("f(g(x))")))))
            others[-1].start()
            others[-1].join(0.01)

    with collecting(lets_others_in):
        ast.parse(textwrap.dedent(CODE))
    for other in others:
        other.join(10)
    assert parsed == [ast.dump(ast.parse("f(g(x))"))] * len(others)


def test_collections_of_garbage_go_on_after_source_was_parsed():
    tree_of("f(x)")
    assert gc.isenabled()
    with pytest.raises(SyntaxError):
        tree_of("f(")
    assert gc.isenabled()


def test_what_is_written_in_c_is_named_by_the_line_that_calls_it(tmp_path):
    file = tmp_path / "shards.py"
    file.write_text(
        textwrap.dedent(
            """
            import pickle as pk
            import numpy as np

            def shard(path):
                with open(path, "rb") as opened:
                    rows = [list(row) for row in pk.load(opened)]
                    more = opened.read()
                return np.roll(rows, 1), more
            """
        )
    )
    assert reads_by(str(file), 6) == ("open", "")
    assert reads_by(str(file), 7) == ("load", "pickle")
    assert reads_by(str(file), 8) == ("read", "")
    assert reads_by(str(file), 9) == ("", "")
    assert reads_by(str(tmp_path / "gone.py"), 7) == ("", "")
