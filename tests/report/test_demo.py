"""The demo says of its two fits what `compare` says of them."""

import pytest

from tb_trainspeed import demo
from tb_trainspeed.report import compare, diagnose
from tb_trainspeed.report.terminal import render_comparison
from tests.report.fits import fit


@pytest.mark.parametrize("step_s", [0.0105, 0.038], ids=["it came true", "it did not"])
def test_the_demo_compares_as_the_command_does(step_s, monkeypatch, capsys):
    fits = diagnose(fit(jitter=0.05)), diagnose(fit(fit_id="later", step_s=step_s, wait_s=0.0002, jitter=0.05))
    made = iter(fits)
    monkeypatch.setattr(demo, "_write_files", lambda folder: ([], []))
    monkeypatch.setattr(demo, "_train", lambda train, log_dir, verbose: next(made))
    demo.run("logs")
    assert render_comparison(compare(*fits), "1-slow", "2-fixed", colour=False) in capsys.readouterr().out


def test_a_machine_on_which_nothing_is_slow_ends_the_demo(monkeypatch, capsys):
    monkeypatch.setattr(demo, "_write_files", lambda folder: ([], []))
    monkeypatch.setattr(demo, "_train", lambda train, log_dir, verbose: diagnose(fit(wait_s=0.0001)))
    demo.run("logs")
    assert "nothing in the demo is slow enough" in capsys.readouterr().out
