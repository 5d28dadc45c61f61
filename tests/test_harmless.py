"""With the callback on, a fit gives the same weights and history; its ledger adds up; nothing is left behind."""

import dataclasses
import time

import keras
import numpy as np
import pytest
import tensorflow as tf

from tb_trainspeed import TrainSpeedCallback
from tb_trainspeed.profile import PHASES, Profile

# Keras' own, with data whose number is not known beforehand.
pytestmark = pytest.mark.filterwarnings("ignore:Your input ran out of data")

BACKEND = keras.backend.backend()
EPOCHS, BATCH = 3, 8
BATCHES = 20  # of the arrays in conftest.py


class Batches(keras.utils.PyDataset):
    def __init__(self, x, y, **options):
        super().__init__(**options)
        self.x, self.y = x, y

    def __len__(self):
        return BATCHES

    def __getitem__(self, index):
        part = slice(index * BATCH, (index + 1) * BATCH)
        return self.x[part], self.y[part]


class CustomStep(keras.Model):
    """A model with a training step of its own, as it is written for each backend."""

    def train_step(self, *args):
        return {"tensorflow": self.tensorflow_step, "torch": self.torch_step, "jax": self.jax_step}[BACKEND](*args)

    def tensorflow_step(self, data):
        x, y = data
        with tf.GradientTape() as tape:
            loss = self.compute_loss(x=x, y=y, y_pred=self(x, training=True))
        self.optimizer.apply(tape.gradient(loss, self.trainable_variables), self.trainable_variables)
        return {"loss": loss}

    def torch_step(self, data):
        x, y = data
        self.zero_grad()
        loss = self.compute_loss(x=x, y=y, y_pred=self(x, training=True))
        loss.backward()
        self.optimizer.apply([variable.value.grad for variable in self.trainable_weights], self.trainable_weights)
        return {"loss": loss}

    def jax_step(self, state, data):
        import jax

        trainable, others, optimizer, metrics = state
        x, y = data

        def loss_of(trainable, others):
            y_pred, others = self.stateless_call(trainable, others, x, training=True)
            return self.compute_loss(x=x, y=y, y_pred=y_pred), others

        (loss, others), gradients = jax.value_and_grad(loss_of, has_aux=True)(trainable, others)
        trainable, optimizer = self.optimizer.stateless_apply(optimizer, gradients, trainable)
        return {"loss": loss}, (trainable, others, optimizer, metrics)


class Reporting(CustomStep):
    """Its steps also return a number of Python's."""

    def train_step(self, *args):
        return {**super().train_step(*args), "beta": 0.001}


def loader(x, y):
    import torch

    return torch.utils.data.DataLoader(torch.utils.data.TensorDataset(*map(torch.tensor, (x, y))), BATCH, shuffle=True)


def dataset(x, y):
    return tf.data.Dataset.from_tensor_slices((x, y)).shuffle(64, seed=1).batch(BATCH)


def forever(x, y):
    while True:
        for start in range(0, len(x), BATCH):
            yield x[start : start + BATCH], y[start : start + BATCH]


def generated(x, y):
    """Single samples of a generator, some of which are timed."""
    signature = tf.TensorSpec(x.shape[1:], x.dtype), tf.TensorSpec(y.shape[1:], y.dtype)
    samples = tf.data.Dataset.from_generator(lambda: zip(x, y, strict=True), output_signature=signature)
    return samples.apply(tf.data.experimental.assert_cardinality(len(x))).batch(BATCH)


def unknown(x, y):
    return dataset(x, y).filter(lambda *batch: True)


@dataclasses.dataclass(frozen=True)
class Case:
    """One way to call `fit`. `data` makes its first arguments."""

    data: object
    compiled: dict = dataclasses.field(default_factory=dict)
    fitted: dict = dataclasses.field(default_factory=dict)
    kind: type = keras.Model
    max_overhead: float = 0.01
    checkpoint: bool = False
    validates: bool = False
    waits: bool = True
    sampled: bool = True
    deterministic: bool = True


CASES = {
    "arrays": Case(lambda x, y: {"x": x, "y": y, "batch_size": BATCH}),
    "dataset": Case(lambda x, y: {"x": dataset(x, y), "shuffle": False}),
    "unknown_cardinality": Case(lambda x, y: {"x": unknown(x, y), "shuffle": False}),
    "tf_generator": Case(lambda x, y: {"x": generated(x, y), "shuffle": False}),
    "pydataset": Case(lambda x, y: {"x": Batches(x, y)}),
    # Keras' own race: 60 plain fits gave eleven different histories on JAX, and four on torch.
    "pydataset_workers": Case(lambda x, y: {"x": Batches(x, y, workers=2)}, deterministic=BACKEND == "tensorflow"),
    "generator": Case(lambda x, y: {"x": forever(x, y), "steps_per_epoch": BATCHES, "shuffle": False}),
    "dataset_cut_short": Case(lambda x, y: {"x": dataset(x, y).repeat(), "steps_per_epoch": BATCHES, "shuffle": False}),
    # On TensorFlow Keras makes tensors of the numbers in its logs.
    "eager": Case(
        lambda x, y: {"x": x, "y": y, "batch_size": BATCH},
        {"run_eagerly": True, "metrics": None},
        kind=Reporting if BACKEND == "tensorflow" else keras.Model,
        sampled=BACKEND == "torch",
    ),
    "steps_per_execution": Case(lambda x, y: {"x": x, "y": y, "batch_size": BATCH}, {"steps_per_execution": 8}),
    "validation_and_checkpoint": Case(
        lambda x, y: {"x": dataset(x, y), "shuffle": False, "validation_data": (x, y)}, checkpoint=True, validates=True
    ),
    "validation_split": Case(
        lambda x, y: {"x": np.repeat(x, 2, 0), "y": np.repeat(y, 2, 0), "batch_size": BATCH},
        fitted={"validation_split": 0.5},
        validates=True,
    ),
    "jit_compile": Case(
        lambda x, y: {"x": x, "y": y, "batch_size": BATCH}, {"jit_compile": True}, sampled=BACKEND != "torch"
    ),
    "custom_train_step": Case(lambda x, y: {"x": dataset(x, y), "shuffle": False}, {"metrics": None}, kind=CustomStep),
    "no_budget": Case(
        lambda x, y: {"x": dataset(x, y), "shuffle": False}, max_overhead=0.0, waits=False, sampled=False
    ),
}
if BACKEND == "torch":
    del CASES["steps_per_execution"]  # which Keras refuses there
    CASES["loader_that_shuffles"] = Case(lambda x, y: {"x": loader(x, y), "shuffle": False})


@dataclasses.dataclass(frozen=True)
class Outcome:
    weights: list
    history: dict
    wall_s: tuple[float, float]  # to the end of the last callback, and to that of `fit`
    attributes: list
    profile: Profile | None


def run(case, arrays, make_model, folder, measured, left_on):
    model = make_model(kind=case.kind, **case.compiled)
    # The data are let go after the last callback, in a time that no callback can see.
    ends = []
    callbacks = [TrainSpeedCallback(None, case.max_overhead, verbose=0)] if measured else []
    if case.checkpoint:
        callbacks.append(keras.callbacks.ModelCheckpoint(folder / "{epoch}.keras"))
    callbacks.append(keras.callbacks.LambdaCallback(on_train_end=lambda logs: ends.append(time.perf_counter())))
    options = {"epochs": EPOCHS, "verbose": 0, "callbacks": callbacks, **case.data(*arrays), **case.fitted}
    begin = time.perf_counter()
    history = model.fit(**options).history
    wall_s = ends[0] - begin, time.perf_counter() - begin
    attributes = sorted(set().union(*(left_on(owner) for owner in (model, *callbacks))))
    profile = callbacks[0].report.profile if measured else None
    return Outcome(model.get_weights(), history, wall_s, attributes, profile)


@pytest.fixture(scope="module", params=CASES)
def case(request):
    return CASES[request.param]


@pytest.fixture(scope="module")
def pair(case, arrays, make_model, left_on, tmp_path_factory):
    """The outcomes without and with the callback."""
    folder = tmp_path_factory.mktemp("checkpoints")
    return [run(case, arrays, make_model, folder, measured, left_on) for measured in (False, True)]


def test_weights_and_history_are_bit_identical(pair, case):
    plain, measured = pair
    if not case.deterministic:
        assert len(measured.history["loss"]) == len(plain.history["loss"])
        return
    assert measured.history == plain.history
    for ours, theirs in zip(measured.weights, plain.weights, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_the_ledger_adds_up(pair):
    profile = pair[1].profile
    for ledger in (profile.ledger, profile.steady):
        assert set(ledger.phases) == set(PHASES)
        values = [value for value in ledger.phases.values() if value is not None]
        assert sum(values) == pytest.approx(ledger.wall_s, rel=1e-6)
    assert profile.ledger.phases["other"] <= 0.02 * profile.ledger.wall_s


def test_the_wall_time_is_that_of_the_fit(pair):
    _, measured = pair
    assert measured.profile.start_seen == "fit"
    hooks_s, whole_s = measured.wall_s
    assert 0.98 * hooks_s - 0.03 <= measured.profile.ledger.wall_s <= whole_s


def test_every_step_is_counted(pair):
    profile = pair[1].profile
    assert profile.status == "finished"
    assert profile.steps.count == profile.ledger.steps == BATCHES * EPOCHS
    assert (profile.ledger.epochs, profile.steady.epochs) == (EPOCHS, EPOCHS - 1)
    assert profile.steady.steps == BATCHES * (EPOCHS - 1)
    assert sum(profile.timeline.steps) == BATCHES * EPOCHS


def test_the_wait_is_unknown_only_where_that_is_documented(pair, case):
    profile = pair[1].profile
    assert (profile.ledger.phases["input_wait"] is not None) == case.waits
    assert ("input_wait" in profile.not_measured) == (not case.waits)
    switched_off = set() if profile.cost.max_overhead else {"resources"}
    assert set(profile.not_measured) - {"input_wait", "the parts of a step"} == switched_off


def test_the_parts_of_a_step_are_known_where_that_is_documented(pair, case):
    profile = pair[1].profile
    assert (profile.breakdown is not None) == case.sampled
    for phase in ("optimizer", "transfer", "collectives"):
        assert (profile.ledger.phases[phase] is not None) == case.sampled
    assert ("the parts of a step" in profile.not_measured) == (not case.sampled)


def test_validation_and_checkpoints(pair, case):
    profile = pair[1].profile
    assert (profile.ledger.phases["validation"] > 0) == case.validates
    assert (profile.validation is not None and profile.validation.runs == EPOCHS) == case.validates
    assert (profile.ledger.phases["checkpointing"] > 0) == case.checkpoint


def test_nothing_is_left_on_model_and_callbacks(pair):
    assert pair[1].attributes == []
