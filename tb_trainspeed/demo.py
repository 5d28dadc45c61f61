"""`trainspeed demo`: a slow training on real data, the verdict, the proposed fix, and whether the prediction came true.

The data are the handwritten digits that scikit-learn ships, written out as image files. The loader is the one people
write first: it opens, decodes and augments files in Python, one after the other. Nothing in it sleeps.
"""

import functools
import os
import re
import tempfile
from collections.abc import Callable, Sequence
from typing import Any

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from PIL import Image
from sklearn.datasets import load_digits

from tb_trainspeed.callback import TrainSpeedCallback
from tb_trainspeed.report import Finding, Report, compare
from tb_trainspeed.report.terminal import render_comparison, say

# Every image twice an epoch, differently augmented: TensorFlow's pause between two epochs varies by half a second on a
# small machine, and long epochs keep that out of the comparison.
_EPOCHS, _COPIES = 6, 2
_FILE_SIZE, _IMAGE_SIZE = 160, 32
_BATCH = 32


def load(path: str) -> Any:
    """Reads one image file."""
    image = Image.open(path).convert("L").resize((_IMAGE_SIZE, _IMAGE_SIZE))
    return np.asarray(image, "float32")[..., None] / 255


def augment(image: Any, random: np.random.Generator) -> Any:
    """Shifts an image by up to three pixels and changes its contrast."""
    shift = random.integers(-3, 4, 2)
    return np.roll(image, shift, (0, 1)) * np.float32(random.uniform(0.8, 1.2))


class DigitFiles(keras.utils.PyDataset):  # type: ignore[misc]
    """Batches of images read from files, as most people write it first."""

    def __init__(self, paths: Sequence[str], labels: Any, load: Callable[[str], Any] = load, **kwargs: Any):
        super().__init__(**kwargs)
        self.paths, self.labels, self.load = paths, labels, load
        self.random = np.random.default_rng(0)

    def __len__(self) -> int:
        return len(self.paths) // _BATCH

    def __getitem__(self, index: int) -> Any:
        batch = slice(index * _BATCH, (index + 1) * _BATCH)
        images = [augment(self.load(path), self.random) for path in self.paths[batch]]
        return np.stack(images), self.labels[batch]


def _write_files(folder: str) -> tuple[list[str], Any]:
    digits = load_digits()
    paths = []
    for number, pixels in enumerate(digits.images):
        image = Image.fromarray((pixels * 15.9375).astype("uint8"), "L")
        paths.append(os.path.join(folder, f"{number:04d}.png"))
        image.resize((_FILE_SIZE, _FILE_SIZE), Image.Resampling.BICUBIC).convert("RGB").save(paths[-1])
    return paths * _COPIES, np.tile(digits.target, _COPIES)


def _model() -> Any:
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.layers.Input((_IMAGE_SIZE, _IMAGE_SIZE, 1)),
            keras.layers.Conv2D(16, 3, activation="relu"),
            keras.layers.MaxPooling2D(),
            keras.layers.Conv2D(32, 3, activation="relu"),
            keras.layers.MaxPooling2D(),
            keras.layers.Flatten(),
            keras.layers.Dense(64, activation="relu"),
            keras.layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def _train(train: DigitFiles, log_dir: str, verbose: int) -> Report:
    callback = TrainSpeedCallback(log_dir, verbose=verbose)
    _model().fit(train, epochs=_EPOCHS, verbose=2, callbacks=[callback])
    return callback.report


def _with_fix(finding: Finding, paths: Sequence[str], labels: Any) -> DigitFiles | None:
    """Returns the data with the remedy of the finding applied, as its code says."""
    if finding.code == "IP09":
        return DigitFiles(paths, labels, functools.cache(load))
    if finding.code == "IP01":
        workers, queue = (int(value) for value in re.findall(r"(?:workers|max_queue_size)=(\d+)", finding.remedy.code))
        return DigitFiles(paths, labels, workers=workers, max_queue_size=queue)
    return None


def run(log_dir: str) -> None:
    """Trains slowly, reports, trains with the fix, and compares, unless this machine shows nothing to fix."""
    names = "1-slow", "2-fixed"
    with tempfile.TemporaryDirectory() as folder:
        print("Writing 1,797 handwritten digits as image files ...", flush=True)
        paths, labels = _write_files(folder)
        print(f"\n1/2  Training a small convnet for {_EPOCHS} epochs, as people write it first:\n", flush=True)
        slow = _train(DigitFiles(paths, labels), os.path.join(log_dir, names[0]), verbose=1)
        finding = slow.findings[0] if slow.findings else None
        fixed_data = _with_fix(finding, paths, labels) if finding else None
        if finding is None or fixed_data is None:
            print("\nOn this machine nothing in the demo is slow enough to be worth fixing.")
            return
        print(f"\n2/2  The same training with the fix for {finding.code}:\n", flush=True)
        fixed = _train(fixed_data, os.path.join(log_dir, names[1]), verbose=0)
    say(render_comparison(compare(slow, fixed), *names))


def serve(log_dir: str) -> None:
    """Starts TensorBoard on a free port of this machine, prints the address of the tab, and waits for Ctrl-C."""
    from tensorboard import program

    server = program.TensorBoard()
    server.configure(argv=["tensorboard", "--logdir", log_dir, "--host", "127.0.0.1", "--port", "0"])
    print(f"The tab:  {server.launch()}#trainspeed    (Ctrl-C stops it)", flush=True)
    try:
        import threading

        threading.Event().wait()
    except KeyboardInterrupt:
        print()
