"""IP: the input pipeline, where Python makes the batches."""

import functools
import time
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import h5py
import keras
import numpy as np
from PIL import Image

from benchmarks.zoo.case import EVERYWHERE, Fit, case
from benchmarks.zoo.trainings import Folder, convnet, fit, image_files, mlp, numbers

_BATCH = 64


class Batches(keras.utils.PyDataset):  # type: ignore[misc]
    """Batches that a function makes of the numbers of their rows."""

    def __init__(self, rows: int, make: Callable[[Any], Any], batch: int = _BATCH, **options: Any):
        super().__init__(**options)
        self.rows, self.make, self.batch = rows, make, batch

    def __len__(self) -> int:
        return self.rows // self.batch

    def __getitem__(self, index: int) -> Any:
        return self.make(np.arange(index * self.batch, (index + 1) * self.batch))


class FromFiles(keras.utils.PyDataset):  # type: ignore[misc]
    """Waits for each batch as for a file on a network disk: waiting is the case, so here a sleep is real."""

    def __init__(self, x: Any, y: Any, **options: Any):
        super().__init__(**options)
        self.x, self.y = x, y

    def __len__(self) -> int:
        return len(self.x) // _BATCH

    def __getitem__(self, index: int) -> Any:
        time.sleep(0.03)
        batch = slice(index * _BATCH, index * _BATCH + _BATCH)
        return self.x[batch], self.y[batch]


@case("pydataset_waits_for_files", "IP01", quick=True, on=EVERYWHERE)
def _pydataset(fixed: bool) -> Fit:
    options = {"workers": 16, "max_queue_size": 32} if fixed else {}
    return fit(mlp(32), FromFiles(*numbers(_BATCH * 60), **options))


class _Unpacks(keras.utils.PyDataset):  # type: ignore[misc]
    """Unpacks its samples, which zlib does without the GIL."""

    def __init__(self, samples: int, **options: Any):
        super().__init__(**options)
        random = np.random.default_rng(0)
        self.y = random.integers(0, 10, samples)
        self.x = [zlib.compress(random.integers(0, 9, (64, 64)).astype("float32").tobytes()) for _ in range(samples)]

    def __len__(self) -> int:
        return len(self.x) // _BATCH

    def __getitem__(self, index: int) -> Any:
        batch = slice(index * _BATCH, index * _BATCH + _BATCH)
        rows = [np.frombuffer(zlib.decompress(packed), "float32")[:256] for packed in self.x[batch]]
        return np.stack(rows), self.y[batch]


@case("trap_one_worker_on_two_cores", on=("jax", "torch"))
def _unpacks(fixed: bool) -> Fit:
    """Two workers make it slower: they need the cores that the step computes on, and 0.1 s in every epoch."""
    return fit(mlp(256), _Unpacks(_BATCH * 60))


class _Tokens(keras.utils.PyDataset):  # type: ignore[misc]
    """Counts the characters of texts, letter by letter, in Python."""

    def __init__(self, texts: list[str], y: Any, **options: Any):
        super().__init__(**options)
        self.texts, self.y = texts, y

    def __len__(self) -> int:
        return len(self.texts) // _BATCH

    def __getitem__(self, index: int) -> Any:
        batch = slice(index * _BATCH, index * _BATCH + _BATCH)
        counts = np.zeros((_BATCH, 128), "float32")
        for row, text in enumerate(self.texts[batch]):
            for letter in text:
                counts[row, ord(letter)] += 1
        return counts, self.y[batch]


@case("threads_tokenise", "IP02", on=("torch",))
def _threads_tokenise(fixed: bool) -> Fit:
    random = np.random.default_rng(0)
    texts = ["".join(map(chr, random.integers(97, 123, 3000))) for _ in range(_BATCH * 60)]
    options = {"workers": 2, "use_multiprocessing": fixed}
    return fit(mlp(128), _Tokens(texts, random.integers(0, 10, len(texts)), **options), epochs=3)


class _Slices(keras.utils.PyDataset):  # type: ignore[misc]
    """Slices arrays, which costs nothing."""

    def __init__(self, x: Any, y: Any, batch: int = _BATCH, **options: Any):
        super().__init__(**options)
        self.x, self.y, self.batch = x, y, batch

    def __len__(self) -> int:
        return len(self.x) // self.batch

    def __getitem__(self, index: int) -> Any:
        batch = slice(index * self.batch, (index + 1) * self.batch)
        return self.x[batch], self.y[batch]


@case("processes_copy_big_batches", "IP03", on=("torch",))
def _processes(fixed: bool) -> Fit:
    x = np.random.default_rng(0).normal(size=(1024, 40_000)).astype("float32")
    layers = keras.layers
    model = keras.Sequential([layers.Input((40_000,)), layers.Reshape((40, 1000)), layers.MaxPooling1D(40)])
    model.add(layers.Flatten())
    model.add(layers.Dense(10))
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return fit(model, _Slices(x, np.arange(1024) % 10, 128, workers=2, use_multiprocessing=not fixed), epochs=6)


@case("generator_waits_for_files", "IP04", on=EVERYWHERE)
def _generator(fixed: bool) -> Fit:
    x, y = numbers(_BATCH * 60)
    if fixed:
        return fit(mlp(32), FromFiles(x, y, workers=16, max_queue_size=32))

    def batches() -> Iterator[Any]:
        while True:
            for begin in range(0, len(x), _BATCH):
                time.sleep(0.03)
                yield x[begin : begin + _BATCH], y[begin : begin + _BATCH]

    return fit(mlp(32), batches(), steps_per_epoch=60)


def _load(path: str) -> Any:
    image = Image.open(path).convert("L").resize((28, 28))
    return np.asarray(image, "float32")[..., None] / 255


@case(
    "python_decodes_every_epoch",
    "IP09",
    on=EVERYWHERE,
)
def _python_decodes(fixed: bool) -> Fit:
    paths, y = image_files(32 * 40, 96, "png")
    load = functools.cache(_load) if fixed else _load
    make = lambda rows: (np.stack([load(paths[row]) for row in rows]), y[rows])  # noqa: E731
    return fit(convnet(), Batches(len(paths), make, 32), epochs=8)


@case("generator_decodes_every_epoch", "IP09", on=EVERYWHERE)
def _generator_decodes(fixed: bool) -> Fit:
    paths, y = image_files(32 * 30, 96, "png")
    load = functools.cache(_load) if fixed else _load

    def batches() -> Iterator[Any]:
        while True:
            for begin in range(0, len(paths), 32):
                yield np.stack([load(path) for path in paths[begin : begin + 32]]), y[begin : begin + 32]

    return fit(convnet(), batches(), steps_per_epoch=30, epochs=8)


class _Tables(keras.utils.PyDataset):  # type: ignore[misc]
    """Reads its table, which is a text file, for every batch, or once."""

    def __init__(self, path: str, y: Any, once: bool):
        super().__init__()
        self.path, self.y = path, y
        self.x = np.loadtxt(path, "float32", delimiter=",") if once else None

    def __len__(self) -> int:
        return len(self.y) // _BATCH

    def __getitem__(self, index: int) -> Any:
        rows = slice(index * _BATCH, index * _BATCH + _BATCH)
        x = np.loadtxt(self.path, "float32", delimiter=",") if self.x is None else self.x
        return x[rows], self.y[rows]


@functools.cache
def _text_file() -> tuple[Folder, str]:
    folder = Folder()
    path = folder.path("table.csv")
    np.savetxt(path, numbers(_BATCH * 15, 256)[0], "%.4f", ",")
    return folder, path


@case(
    "text_file_read_for_every_batch",
    "IP18",
    on=EVERYWHERE,
)
def _text(fixed: bool) -> Fit:
    return fit(mlp(256), _Tables(_text_file()[1], numbers(_BATCH * 15, 1)[1], fixed), epochs=10)


class _Archive(keras.utils.PyDataset):  # type: ignore[misc]
    """Opens its archive for every batch, or its array once."""

    def __init__(self, archive: str | None, array: str | None, y: Any):
        super().__init__()
        self.archive, self.y = archive, y
        self.x = np.load(array, mmap_mode="r") if array else None

    def __len__(self) -> int:
        return len(self.y) // _BATCH

    def __getitem__(self, index: int) -> Any:
        rows = slice(index * _BATCH, index * _BATCH + _BATCH)
        x = np.load(self.archive)["x"] if self.archive else self.x
        return np.asarray(x[rows]), self.y[rows]


@functools.cache
def _stored() -> tuple[Folder, str, str]:
    folder, (x, _) = Folder(), numbers(_BATCH * 40, 512)
    archive, array = folder.path("x.npz"), folder.path("x.npy")
    np.savez(archive, x=x)
    np.save(array, x)
    return folder, archive, array


@case(
    "archive_opened_for_every_batch",
    "IP18",
    on=EVERYWHERE,
)
def _archive(fixed: bool) -> Fit:
    _, archive, array = _stored()
    y = numbers(_BATCH * 40, 1)[1]
    return fit(mlp(512), _Archive(None if fixed else archive, array if fixed else None, y))


class _Rows(keras.utils.PyDataset):  # type: ignore[misc]
    """Computes the features of a batch row by row, or at once."""

    def __init__(self, table: Any, y: Any, at_once: bool):
        super().__init__()
        self.table, self.y, self.at_once = table, y, at_once

    def __len__(self) -> int:
        return len(self.y) // 256

    def __getitem__(self, index: int) -> Any:
        rows = np.arange(index * 256, (index + 1) * 256)
        if not self.at_once:
            listed = [[float(value) * 2 + abs(float(value)) for value in self.table[row]] for row in rows]
            return np.array(listed, "float32"), self.y[rows]
        part = self.table[rows]
        return part * 2 + np.abs(part), self.y[rows]


@case(
    "rows_one_by_one",
    "IP19",
    on=EVERYWHERE,
)
def _rows(fixed: bool) -> Fit:
    return fit(mlp(1024), _Rows(*numbers(256 * 15, 1024), at_once=fixed))


class _Hdf5(keras.utils.PyDataset):  # type: ignore[misc]
    """Reads random rows of a packed HDF5 dataset, or of an array mapped into memory."""

    def __init__(self, x: Any, y: Any):
        super().__init__()
        self.x, self.y = x, y
        self.order = np.random.default_rng(0).permutation(len(y))

    def __len__(self) -> int:
        return len(self.y) // _BATCH

    def __getitem__(self, index: int) -> Any:
        rows = np.sort(self.order[index * _BATCH : (index + 1) * _BATCH])
        return np.asarray(self.x[rows]), self.y[rows]


@functools.cache
def _hdf5() -> tuple[Folder, Any]:
    folder, (x, _) = Folder(), numbers(_BATCH * 20, 512)
    with h5py.File(folder.path("x.h5"), "w") as file:
        file.create_dataset("x", data=x, chunks=(64, 512), compression="gzip", compression_opts=1)
    return folder, h5py.File(folder.path("x.h5"))["x"]


@case(
    "hdf5_random_rows",
    "IP26",
    on=EVERYWHERE,
)
def _hdf5_rows(fixed: bool) -> Fit:
    x, y = numbers(_BATCH * 20, 512)
    return fit(mlp(512), _Hdf5(x if fixed else _hdf5()[1], y))


@case("files_and_validation", "IP01", "CB06", on=("tensorflow", "torch"))
def _two_causes(fixed: bool) -> Fit:
    x, y = numbers(_BATCH * 30)
    options = {"workers": 16, "max_queue_size": 32} if fixed else {}
    validation = {"validation_data": numbers(32 * 1500), "validation_batch_size": 512 if fixed else 32}
    return fit(mlp(32), FromFiles(x, y, **options), epochs=6, **validation)


class _Packed:
    """A dataset for torch: samples that have to be unpacked."""

    def __init__(self, samples: int):
        random = np.random.default_rng(0)
        self.y = random.integers(0, 10, samples)
        self.x = [zlib.compress(random.integers(0, 9, (96, 96)).astype("float32").tobytes()) for _ in range(samples)]

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, index: int) -> Any:
        return np.frombuffer(zlib.decompress(self.x[index]), "float32")[:256].copy(), self.y[index]


@case("trap_loader_without_workers_on_two_cores", on=("torch",))
def _loader(fixed: bool) -> Fit:
    """Two workers make it slower: they need the cores that the step computes on."""
    import torch

    return fit(mlp(256), torch.utils.data.DataLoader(_Packed(_BATCH * 40), batch_size=_BATCH))


@case("loader_starts_workers_every_epoch", "IP24", on=("torch",))
def _restarts(fixed: bool) -> Fit:
    import torch

    loader = torch.utils.data.DataLoader(
        _Packed(_BATCH * 10), batch_size=_BATCH, num_workers=2, persistent_workers=fixed
    )
    return fit(mlp(256), loader, epochs=10)
