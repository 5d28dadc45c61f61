"""A symptom is told as one where its cause is told; where that gains too little, it is a cause of its own."""

import dataclasses
import importlib

import pytest

from tb_trainspeed.profile import CallbackFacts, Data, Hook, Ledger, NestedCall
from tb_trainspeed.report import diagnose
from tb_trainspeed.rules.rule import Change, Found, exactly, rule
from tests.report.fits import fit


def finding(share):
    """A cause whose remedy takes this share off the time of computing."""
    change = Change(factors={"device_s": exactly(1 - share)})
    return Found("It is slow", "It is slow.", "compute", {"a": "b"}, "Do less.", "+ less()", change)


CAUSE = rule("XX01", "cause", silences=("XX02",))
SYMPTOM = rule("XX02", "symptom")


@pytest.mark.parametrize(
    ("cause_gains", "found", "outcomes"),
    [(0.5, ["XX01"], ["found", "not_applicable"]), (0.01, ["XX02"], ["passed", "found"])],
    ids=["the cause is told", "the cause gains too little"],
)
def test_a_cause_that_is_not_told_silences_nothing(monkeypatch, cause_gains, found, outcomes):
    rules = (CAUSE(lambda steps: finding(cause_gains)), SYMPTOM(lambda steps: finding(0.5)))
    module = importlib.import_module("tb_trainspeed.report.diagnose")  # the package has a function of this name
    check = module.check
    monkeypatch.setattr(module, "check", lambda profile: check(profile, rules))
    report = diagnose(fit(wait_s=0.0, data=Data()))
    assert [one.code for one in report.findings] == found
    assert [done.outcome for done in report.checks] == outcomes
    symptom = report.checks[1]
    assert symptom.symptom_of == ("XX01" if found == ["XX01"] else "")
    assert "a symptom of XX01" in symptom.reason or found == ["XX02"]


def test_beside_a_callback_that_predicts_another_that_works_long_is_told():
    report = diagnose(
        dataclasses.replace(
            fit(step_s=0.02, wait_s=0.0),
            epochs_planned=5,
            steady=Ledger(10.0, 400, 4, {"input_wait": 0.0, "compute": 7.6, "callbacks": 2.4}),
            callbacks=(CallbackFacts("Predicts", "Callback"), CallbackFacts("Plots", "Callback")),
            hooks=(
                Hook("Predicts", "on_epoch_end", "callbacks", 5, 1.2, 0.3),
                Hook("Plots", "on_epoch_end", "callbacks", 5, 1.8, 0.4),
            ),
            nested_calls=(NestedCall("Predicts", "on_epoch_end", "predict", 5, 1.15),),
        )
    )
    assert {"CB02", "CB10"} <= {one.code for one in report.findings}
