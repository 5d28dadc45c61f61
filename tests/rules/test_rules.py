"""Every rule: where it speaks, just below, and what it says when a fact is missing. A test is a call with numbers."""

import contextlib
import dataclasses
import pathlib

import pytest

from tb_trainspeed.profile import CallbackFacts, Environment, Hook, Ledger, NestedCall, Profile
from tb_trainspeed.rules import Check, callbacks, catalogue, check, framework, page
from tb_trainspeed.rules.facts import FACTS
from tb_trainspeed.rules.input_pipeline import files, workers
from tb_trainspeed.rules.missing import Missing, MissingFactError
from tb_trainspeed.rules.rule import HEADINGS, Found, NotApplicable, Passed, rule
from tests.rules import convergence, hardware, input_pipeline, model_compute, optimizer, transfer
from tests.rules.rows import STEADY

BATCH_HOOK = Hook("Logger", "on_train_batch_end", "callbacks", 300, 1.5, 0.02)
SAVES = Hook("ModelCheckpoint", "on_train_batch_end", "checkpointing", 300, 3.0, 0.02)
SAVE_EACH = CallbackFacts("ModelCheckpoint", "MonitorCallback", {"save_freq": "1"})

FW01 = {
    "backend": "tensorflow",
    "run_eagerly": True,
    "functions_run_eagerly": False,
    "jit_compile": False,
    "compute_s": 0.05,
    "dispatch_s": 0.045,
    "steady": STEADY,
}
FW07 = {
    "backend": "tensorflow",
    "steps_per_execution": 1,
    "run_eagerly": False,
    "dispatch_share": 0.6,
    "dispatch_s": 0.001,
    "compute_s": 0.0015,
    "steady": STEADY,
}
CB01 = {"hooks": (BATCH_HOOK,), "nested_calls": (), "steps": 300, "steady": STEADY}
CB02 = {
    "nested_calls": (NestedCall("Logger", "on_train_batch_end", "predict", 300, 1.4),),
    "hooks": (BATCH_HOOK,),
    "steps": 300,
    "epochs": 3,
    "steady": STEADY,
}
CB03 = {
    "hooks": (SAVES,),
    "callbacks": (SAVE_EACH,),
    "checkpoint_share": 0.4,
    "steps": 300,
    "epochs": 3,
    "steady": STEADY,
}
CB06 = {
    "validation_share": 0.5,
    "validation_runs": 3,
    "validation_frequency": 1,
    "callbacks": (),
    "epochs_planned": 10,
}

FIRES = [
    *input_pipeline.FIRES,
    *transfer.FIRES,
    *model_compute.FIRES,
    *optimizer.FIRES,
    *hardware.FIRES,
    *convergence.FIRES,
    pytest.param(framework.eager, FW01, {}, id="FW01 run_eagerly"),
    pytest.param(framework.eager, FW01, {"run_eagerly": False, "functions_run_eagerly": True}, id="FW01 functions"),
    pytest.param(framework.eager, FW01, {"backend": "jax", "run_eagerly": False}, id="FW01 JAX without jit"),
    pytest.param(framework.dispatch_bound, FW07, {}, id="FW07"),
    pytest.param(callbacks.slow_batch_callback, CB01, {}, id="CB01"),
    pytest.param(callbacks.predict_in_callback, CB02, {}, id="CB02 every batch"),
    pytest.param(
        callbacks.predict_in_callback,
        CB02,
        {"nested_calls": (NestedCall("Logger", "on_epoch_end", "evaluate", 3, 1.4),)},
        id="CB02 every epoch",
    ),
    pytest.param(callbacks.checkpoint_too_often, CB03, {}, id="CB03 every batch"),
    pytest.param(
        callbacks.checkpoint_too_often,
        CB03,
        {"hooks": (dataclasses.replace(SAVES, hook="on_epoch_end", calls=3),)},
        id="CB03 every epoch",
    ),
    pytest.param(callbacks.validation_dominates, CB06, {}, id="CB06"),
]

SILENT = [
    *input_pipeline.SILENT,
    *transfer.SILENT,
    *model_compute.SILENT,
    *optimizer.SILENT,
    *hardware.SILENT,
    *convergence.SILENT,
    pytest.param(framework.eager, FW01, {"run_eagerly": False}, Passed, id="FW01 compiled"),
    pytest.param(framework.dispatch_bound, FW07, {"steps_per_execution": 8}, Passed, id="FW07 done already"),
    pytest.param(framework.dispatch_bound, FW07, {"dispatch_share": 0.29}, Passed, id="FW07 computes"),
    pytest.param(framework.dispatch_bound, FW07, {"run_eagerly": True}, NotApplicable, id="FW07 eager"),
    pytest.param(framework.eager, FW01, {"backend": "torch"}, NotApplicable, id="FW01 torch"),
    pytest.param(framework.dispatch_bound, FW07, {"backend": "torch"}, NotApplicable, id="FW07 torch"),
    pytest.param(
        callbacks.slow_batch_callback,
        CB01,
        {"hooks": (dataclasses.replace(BATCH_HOOK, total_s=0.25),)},
        Passed,
        id="CB01 quick",
    ),
    pytest.param(
        callbacks.slow_batch_callback,
        CB01,
        {"hooks": (dataclasses.replace(BATCH_HOOK, callback="ProgbarLogger"),)},
        NotApplicable,
        id="CB01 Keras' own",
    ),
    pytest.param(callbacks.predict_in_callback, CB02, {"nested_calls": ()}, Passed, id="CB02 none"),
    pytest.param(
        callbacks.predict_in_callback,
        CB02,
        {"nested_calls": (NestedCall("Logger", "on_epoch_end", "predict", 3, 0.1),)},
        Passed,
        id="CB02 seldom",
    ),
    pytest.param(callbacks.checkpoint_too_often, CB03, {"checkpoint_share": 0.04}, Passed, id="CB03 cheap"),
    pytest.param(callbacks.checkpoint_too_often, CB03, {"hooks": (BATCH_HOOK,)}, NotApplicable, id="CB03 none"),
    pytest.param(callbacks.validation_dominates, CB06, {"validation_share": 0.24}, Passed, id="CB06 just below"),
    pytest.param(callbacks.validation_dominates, CB06, {"validation_runs": 0}, NotApplicable, id="CB06 none"),
]


@pytest.mark.parametrize(("rule", "facts", "changed"), FIRES)
def test_found(rule, facts, changed):
    found = rule(**{**facts, **changed})
    assert isinstance(found, Found)
    assert found.code.strip()
    assert found.evidence
    assert found.change.factors or found.change.removes or found.change.sets
    for estimate in (*found.change.factors.values(), *found.change.sets.values()):
        assert estimate.low >= estimate.expected >= estimate.high  # less is left at the optimistic end


@pytest.mark.parametrize(("rule", "facts", "changed", "outcome"), SILENT)
def test_silent(rule, facts, changed, outcome):
    said = rule(**{**facts, **changed})
    assert isinstance(said, outcome)
    assert said.reason


def test_every_rule_is_in_both_tables():
    assert {param.values[0] for param in FIRES} == set(catalogue())
    assert {param.values[0] for param in SILENT} == set(catalogue())


@pytest.mark.parametrize("rule", catalogue(), ids=lambda rule: rule.code)
def test_the_page_of_a_rule_is_complete(rule):
    for heading in HEADINGS:
        assert f"\n{heading}: " in rule.doc, heading
    assert rule.summary.endswith(".")


@pytest.mark.parametrize("rule", catalogue(), ids=lambda rule: rule.code)
def test_the_docs_hold_the_page_of_every_rule(rule):
    """`trainspeed rules --write docs/rules` writes them anew."""
    written = pathlib.Path(__file__).parents[2] / "docs" / "rules" / f"{rule.code}.md"
    assert written.read_text(encoding="utf-8") == page(rule)


def test_codes_and_names_are_unique():
    assert len({rule.code for rule in catalogue()}) == len({rule.name for rule in catalogue()}) == len(catalogue())


@pytest.mark.parametrize("rule", catalogue(), ids=lambda rule: rule.code)
def test_a_fact_that_was_not_measured_stops_the_rule_where_it_is_needed(rule):
    with pytest.raises(MissingFactError):
        rule(**{name: Missing(name) for name in rule.needs})


@pytest.mark.parametrize(("rule", "facts", "changed"), FIRES)
def test_each_fact_may_be_missing(rule, facts, changed):
    """The rule stops at it, or does without; it does not stumble over it."""
    facts = {**facts, **changed}
    for name in rule.needs:
        with contextlib.suppress(MissingFactError):
            assert isinstance(rule(**{**facts, name: Missing(name)}), (Found, Passed, NotApplicable))


def test_workers_are_numbered_by_what_a_batch_needs():
    found = workers.pydataset_serial(**input_pipeline.IP01)
    assert "workers=5" in found.code  # 40 ms a batch for a step of 10 ms, and one to spare


def test_the_cache_is_proposed_for_the_function_that_decodes():
    found = files.redecode_each_epoch(**input_pipeline.IP09)
    assert "@functools.cache" in found.code
    assert "def load(" in found.code
    assert found.change.factors["supply_s"].expected == pytest.approx(0.2)


def test_watched_validation_is_no_safe_change():
    assert callbacks.validation_dominates(**CB06).changes_results == "no"
    watched = callbacks.validation_dominates(**{**CB06, "callbacks": (CallbackFacts("EarlyStopping", "Callback"),)})
    assert watched.changes_results == "training"


def test_misspelt_fact_fails_at_import():
    with pytest.raises(TypeError, match="input_shares"):
        rule("XX01", "misspelt")(lambda input_shares: Passed(""))


def _outcome(function, profile=None):
    (done,) = check(profile or Profile(), (rule("XX01", "test")(function),))
    assert isinstance(done, Check)
    return done


def test_a_failing_rule_is_an_outcome():
    def fails(steps):
        return 1 / steps

    done = _outcome(fails)
    assert done.outcome == "failed"
    assert "ZeroDivisionError" in done.reason


def test_not_measured_is_said_and_never_guessed():
    def needs(input_share):
        return Passed("") if input_share < 0.5 else NotApplicable("")

    done = _outcome(needs)
    assert done.outcome == "not_measured"
    assert "input share" in done.reason


def test_a_cause_silences_its_symptoms():
    eager = rule("XX01", "eager", silences=("XX02",))(lambda steps: framework.eager(**FW01))
    small = rule("XX02", "small")(lambda steps: framework.dispatch_bound(**FW07))
    checks = check(Profile(), (eager, small))
    assert [done.outcome for done in checks] == ["found", "not_applicable"]


def test_facts_of_an_empty_profile_do_not_fail():
    for fact in FACTS.values():
        fact(Profile())


def test_cores_are_what_the_process_may_use():
    assert FACTS["cores"](Profile(environment=Environment(cores=1.5), ledger=Ledger())) == 1.5
