"""The tab writes numbers as the terminal does: frontend/test/format.test.ts holds the panel to the same table."""

import json
import pathlib

import pytest

from tb_trainspeed.rules import words

TABLE = json.loads(pathlib.Path(__file__).with_name("words.json").read_text("utf-8"))


@pytest.mark.parametrize("name", TABLE)
def test_numbers_read_the_same_in_the_terminal_and_in_the_tab(name):
    write = getattr(words, name)
    told = [write(*value) if isinstance(value, list) else write(value) for value, _ in TABLE[name]]
    assert told == [text for _, text in TABLE[name]]
