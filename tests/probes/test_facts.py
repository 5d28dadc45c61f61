"""Facts of the machine, the model and the callbacks."""

import keras
import pytest
import tensorflow as tf

from tb_trainspeed import TrainSpeedCallback
from tb_trainspeed.probes import facts, tensorflow
from tb_trainspeed.session import guard
from tb_trainspeed.session.facts import FitFacts


def test_the_environment_tells_versions_of_what_is_loaded():
    environment = facts.environment("jax", (), {"a": "b"}, ("DataParallel", 4))
    assert (environment.settings, environment.distribution, environment.replicas) == ({"a": "b"}, "DataParallel", 4)
    assert environment.versions["keras"] == keras.__version__
    assert environment.versions["tb_trainspeed"]
    assert environment.memory_bytes > environment.memory_available_bytes > 0


def test_model_facts(make_model):
    model = make_model(steps_per_execution=4)
    model.layers[1].trainable = False
    found = facts.model_facts(model)
    assert (found.parameters, found.trainable_parameters) == (4 * 8 + 8 + 8 + 1, 8 + 1)
    assert (found.optimizer, found.loss, found.steps_per_execution) == ("Adam", "mse", 4)
    assert [layer.kind for layer in found.layers] == ["InputLayer", "Dense", "Dropout", "Dense"]
    assert [layer.trainable_parameters for layer in found.layers] == [0, 0, 0, 9]
    assert (found.trainable_variables, found.custom_train_step, found.layers_left_out) == (2, False, 0)


class OwnStep(keras.Model):
    def train_step(self, *args):
        return super().train_step(*args)


def test_what_was_compiled(make_model, arrays):
    inner = keras.optimizers.AdamW(keras.optimizers.schedules.CosineDecay(0.1, 9), weight_decay=0.1, clipnorm=2.0)
    optimizer = keras.optimizers.LossScaleOptimizer(inner, initial_scale=8.0)
    model = make_model(OwnStep, optimizer=optimizer, metrics=["mae", keras.metrics.RootMeanSquaredError()])
    model.fit(*arrays, verbose=0)
    found = facts.model_facts(model)
    assert found.custom_train_step
    assert found.metrics == ("MeanAbsoluteError", "RootMeanSquaredError")
    assert found.optimizer == "AdamW"
    expected = {"weight_decay": "0.1", "clipnorm": "2.0", "learning_rate_schedule": "CosineDecay", "use_ema": "False"}
    assert expected.items() <= found.optimizer_options.items()
    assert found.optimizer_options["loss_scale_optimizer"] == "LossScaleOptimizer"
    assert found.optimizer_options["initial_scale"] == "8.0"
    # The two moments of every weight, and at least the count of the steps.
    assert found.optimizer_variables > 2 * found.trainable_variables
    assert 2 * found.parameters < found.optimizer_parameters < 2 * found.parameters + 9


def test_the_optimizer_is_asked_again_once_it_is_built(make_model):
    """A record may be written while Keras makes its variables."""
    model = make_model()
    guarded = guard.Guard(guard.ignore)
    known = FitFacts(model, "tensorflow", tensorflow, guarded)
    assert known.static(stepped=False).model.optimizer_variables < 2 * len(model.trainable_variables)
    model.optimizer.build(model.trainable_variables)
    assert known.static(stepped=True).model.optimizer_variables > 2 * len(model.trainable_variables)
    assert not guarded.not_measured


def test_code_that_cannot_be_read_is_not_measured():
    class Odd(keras.layers.Identity):
        @property
        def fn(self):
            raise RuntimeError("not now")

    inputs = keras.Input((4,))
    model = keras.Model(inputs, Odd()(inputs))
    model.compile("adam", "mse")
    found = facts.model_facts(model)
    assert (found.code, found.code_functions, found.optimizer) == ((), None, "Adam")


def test_nothing_is_read_from_the_device(make_model, arrays, monkeypatch):
    model = make_model()
    model.fit(*arrays, verbose=0)

    def read(*args, **kwargs):
        raise AssertionError("a variable was read")

    for name in ("numpy", "__array__", "__float__", "__int__"):
        monkeypatch.setattr(keras.Variable, name, read)
    assert facts.model_facts(model).optimizer == "Adam"


def test_switches(monkeypatch):
    def fail():
        raise AttributeError("this version has no such switch")

    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    monkeypatch.delenv("TF_ENABLE_ONEDNN_OPTS", raising=False)
    found = facts.settings({"mine": lambda: False, "gone": fail})
    assert (found["OMP_NUM_THREADS"], found["mine"], found["keras.config.floatx"]) == ("3", "False", "float32")
    assert {"gone", "TF_ENABLE_ONEDNN_OPTS"}.isdisjoint(found)


SWITCHES = {
    "tensorflow": {"tf.debugging.enable_check_numerics": "False", "tf.config.run_functions_eagerly": "False"},
    "jax": {"jax_debug_nans": "False", "jax_disable_jit": "False"},
    "torch": {"torch.autograd.set_detect_anomaly": "False", "torch.use_deterministic_algorithms": "False"},
}


def test_facts_of_a_fit(make_model, arrays):
    callback = TrainSpeedCallback(None, verbose=0)
    make_model().fit(*arrays, verbose=0, callbacks=[callback])
    report = callback.report.to_dict()
    found = callback.report.profile.environment
    assert SWITCHES[keras.backend.backend()].items() <= found.settings.items()
    assert (found.distribution, found.replicas) == (None, 1)
    assert found.machine_cores >= found.cores > 0
    assert report["environment"]["settings"] == found.settings
    assert report["model"]["layers"][1]["forward_flops"] == 2 * 4 * 8 + 2 * 8
    assert report["not_measured"] == {}


@pytest.mark.parametrize(
    ("options", "batch_size"),
    [
        ({}, 32),
        ({"batch_size": 512}, 512),
        ({"batch_size": 512, "validation_batch_size": 64}, 64),
        ({"validation_steps": 5}, None),
        ({"validation_steps": 5, "batch_size": 16}, 16),
    ],
)
def test_of_arrays_alone_the_size_of_the_batches_of_a_validation_is_known(arrays, options, batch_size):
    x, y = arrays
    for given in (arrays, (x, y, None), [x, y], ({"a": x, "b": x}, y), x):
        found = facts.validation_facts({"validation_data": given, "validation_freq": 2, **options})
        assert (found.batch_size, found.frequency, found.max_steps) == (batch_size, 2, options.get("validation_steps"))
    for given in ((batch for batch in [arrays]), keras.utils.PyDataset(), tf.data.Dataset.from_tensors(arrays)):
        assert facts.validation_facts({"validation_data": given, **options}).batch_size is None
    assert facts.validation_facts({"validation_data": None}) is None


def test_callback_facts():
    (found,) = facts.callback_facts([keras.callbacks.EarlyStopping(monitor="loss", patience=3)])
    assert (found.name, found.options["patience"], found.options["monitor"]) == ("EarlyStopping", "3", "loss")
