"""CB: callbacks, validation and checkpoints."""

import os
import tempfile
from typing import Any

import keras
import numpy as np

from benchmarks.zoo.case import Fit, case
from benchmarks.zoo.trainings import fit, mlp, numbers


class _Norms(keras.callbacks.Callback):  # type: ignore[misc]
    """Computes norms of all weights, as monitoring callbacks do."""

    def __init__(self, every: int):
        super().__init__()
        self.every = every

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        if batch % self.every == 0:
            self.norms = [float(np.linalg.norm(weight)) for weight in self.model.get_weights()]


@case("weights_after_every_batch", "CB01", quick=True)
def _slow_callback(fixed: bool) -> Fit:
    model = mlp(32, 1024)
    return fit(model, *numbers(32 * 60), batch_size=32, callbacks=[_Norms(50 if fixed else 1)])


class _Predicts(keras.callbacks.Callback):  # type: ignore[misc]
    """Looks at the predictions for a few samples, as people debug."""

    def __init__(self, x: Any, directly: bool):
        super().__init__()
        self.x, self.directly = x, directly

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        if not self.directly:
            self.seen = self.model.predict(self.x, verbose=0)
        elif batch % 50 == 0:
            self.seen = self.model(self.x, training=False)


@case("predict_in_callback", "CB02", quick=True)
def _predict(fixed: bool) -> Fit:
    x, y = numbers(64 * 40)
    return fit(mlp(32), x, y, batch_size=64, callbacks=[_Predicts(x[:8], fixed)])


@case("checkpoint_every_batch", "CB03", quick=True)
def _checkpoint(fixed: bool) -> Fit:
    path = os.path.join(tempfile.mkdtemp(), "model.keras")
    checkpoint = keras.callbacks.ModelCheckpoint(path, save_freq="epoch" if fixed else 1)
    return fit(mlp(32, 256), *numbers(64 * 30), batch_size=64, callbacks=[checkpoint])


@case("validation_every_epoch", "CB06", quick=True)
def _validation(fixed: bool) -> Fit:
    x, y = numbers(64 * 40)
    xv, yv = numbers(64 * 160)
    options: dict[str, Any] = {"validation_freq": 5} if fixed else {}
    return fit(
        mlp(32, 256), x, y, batch_size=64, epochs=11, validation_data=(xv, yv), validation_batch_size=64, **options
    )
