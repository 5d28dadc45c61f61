"""What the Python code that makes batches spends its time on, by sampling its stack."""

from collections.abc import Sequence

from tb_trainspeed.profile import Data, HotSpot, Source
from tb_trainspeed.rules import words
from tb_trainspeed.rules.input_pipeline.shared import (
    CHEAP_BATCH_S,
    faster_source,
    lock_held,
    share_left,
    taken_from_memory,
    waits,
)
from tb_trainspeed.rules.rule import Found, NotApplicable, Outcome, Passed, Range, rule

ADAPTERS = ("PyDatasetAdapter", "GeneratorDataAdapter", "TorchDataLoaderAdapter")
_SHARE_FROM = 0.3
_HELD_FROM = 0.5
# Functions that open or parse a whole file, by library. Indexing a NumPy archive reads from it, too.
_OPENING = {
    "numpy": ("load", "__getitem__", "loadtxt", "genfromtxt", "fromfile", "fromregex"),
    "pandas": ("read_csv", "read_parquet", "read_hdf", "read_feather", "read_pickle", "read_json", "read_table"),
    "h5py": ("__init__",),
    "zipfile": ("__init__",),
    "tarfile": ("open", "__init__"),
    "pyarrow": ("read_table", "read_feather"),
    "netCDF4": ("__init__",),
    "scipy": ("loadmat",),
    "pickle": ("load",),
    "json": ("load",),
}
# What an array operation leaves of the time of a batch that was computed row by row. Measured on two cores: 0.6 to 6 %.
_WHOLE, _WHOLE_AT_BEST = 0.015, 0.005
_COMPREHENSIONS = ("<listcomp>", "<genexpr>", "<dictcomp>", "<setcomp>")
_ROW_BY_ROW = (*_COMPREHENSIONS, "<loop>")
# These go over the rows of a table themselves.
_OVER_ROWS = frozenset(("iterrows", "itertuples"))


def _share(spots: Sequence[HotSpot]) -> float:
    return sum(spot.share for spot in spots)


def _where(spots: Sequence[HotSpot]) -> str:
    worst = max(spots, key=lambda spot: spot.share)
    return f"{worst.file.rpartition('/')[2]}:{worst.line}"


def _place(spot: HotSpot) -> tuple[str, str, int]:
    return spot.file, spot.function, spot.line


def written_in(function: str) -> str:
    """The function that a comprehension, or a loop, is written in."""
    while function.endswith(_ROW_BY_ROW):
        function = function.rpartition(".<locals>.")[0]
    return function


def opens_again(spot: HotSpot) -> bool:
    """Whether a line opens the same file every time."""
    return bool(spot.given_the_same) and _opens(spot)


def _opens(spot: HotSpot) -> bool:
    return spot.callee in _OPENING.get(spot.library, ())


@rule("IP18", "open-file-per-batch")
def open_file_per_batch(
    adapter: str, held_up_share: float, source: Source, hot_spots: tuple[HotSpot, ...], data: Data
) -> Outcome:
    """A file is opened and read as a whole for every batch.

    What it means: the code that makes a batch calls `np.load`, `pandas.read_csv`, `h5py.File` or the like each time.

    Why it is slow: the whole file is read, and often unpacked or parsed, for the few rows that a batch needs.

    What to change: open it once. An uncompressed `.npy` file can be mapped into memory with `mmap_mode="r"`: then a
    batch reads its own rows and nothing else.

    When this is wrong: every batch lies in a file of its own, which is read once an epoch. Where the source shows that
    what is opened comes from the arguments, as in `np.load(self.files[index])`, the rule is silent.

    Sources: NumPy, numpy.load. Measured on two cores: 11 times faster. The share of opening is measured by sampling the
    stack of the code that makes batches; its standard error is the width of the predicted range. Whether a function of
    its own opens the same file every time is read from its source: what it opens does not come from its arguments.
    """
    if adapter not in ADAPTERS:
        return NotApplicable("batches are not made by Python code")
    if too_little := waits(held_up_share):
        return Passed(too_little)
    # Within a function of its own which is given what to open, and so could be cached, it is IP09.
    spots = [
        spot
        for spot in hot_spots
        if _opens(spot)
        and spot.given_the_same is not False
        and (spot.given_the_same or spot.function.endswith("__getitem__") or adapter == "GeneratorDataAdapter")
    ]
    share = _share(spots)
    if share < _SHARE_FROM:
        return Passed(f"opening files is {words.share(share)} of the time of a batch")
    # What is seen on the line of the call, but not in it, is mostly the call handing its result over.
    places = {_place(spot) for spot in spots}
    share += _share([spot for spot in hot_spots if not spot.callee and _place(spot) in places])
    worst = max(spots, key=lambda spot: spot.share)
    batch_s = source.wall_s / source.calls
    call = f"{worst.library}.{worst.callee}".replace("numpy.__getitem__", "numpy.load").removesuffix(".__init__")
    return Found(
        title="A file is opened for every batch",
        message=f"`{source.name}` takes {words.seconds(batch_s)} a batch, {words.share(share)} of it in `{call}` "
        f"({_where(spots)}), which reads a whole file. That holds training up "
        f"{words.share(held_up_share)} of the time.",
        phase="input_wait",
        evidence={
            "waiting for data, or held up by making it": f"{words.share(held_up_share)} of training",
            "making one batch": words.seconds(batch_s),
            f"in {call} ({_where(spots)})": words.share(share),
        },
        remedy="Open it once, and read only the rows of the batch. A compressed archive, or text, has to be saved as "
        "`.npy` for that, once.",
        code="  def __init__(self, ...):\n"
        '+     self.x = np.load("x.npy", mmap_mode="r")\n'
        f"  def {worst.function.rpartition('.')[2]}(...):\n"
        f"-     x = {call}(...)\n"
        "+     x = self.x[rows]",
        change=faster_source(share_left(share, batch_s, data.batch_bytes or 0)),
        confidence="likely",
    )


def _goes_over_rows(spot: HotSpot, adapter: str) -> bool:
    """Whether a line asks pandas for one row after the other; of a batch at once is quick."""
    one = spot.function.endswith(_ROW_BY_ROW) or adapter == "TorchDataLoaderAdapter"  # which asks for a sample
    return spot.callee in _OVER_ROWS or (one and not spot.callee.startswith("read_"))


@rule("IP19", "python-row-assembly")
def python_row_assembly(
    adapter: str, held_up_share: float, source: Source, hot_spots: tuple[HotSpot, ...], data: Data
) -> Outcome:
    """A batch is put together row by row in Python.

    What it means: the time of a batch goes into a comprehension over its rows, or into indexing a pandas table row by
    row: in a comprehension or a loop, as its source shows, or in the `__getitem__` of a `DataLoader`'s dataset.

    Why it is slow: each row costs some microseconds of Python, and one `iloc` of pandas some fifty; NumPy takes all
    rows of a batch in one call.

    What to change: turn the table into an array once, `table.to_numpy()`, and index it with all rows of the batch at
    once, `x[rows]`; write what is computed for a row for a whole array.

    When this is wrong: what is done for each row is itself the work, such as decoding a file. Or the loop goes over the
    columns of a table.

    Sources: pandas, "Enhancing performance". Measured on two cores: 5 to 16 times faster, with 1 to 6 % of the CPU
    time of a batch left where 76 to 80 % was row by row. That share is measured by sampling the stack; what puts the
    rows together, in the function around it, goes with it. The prediction takes off half of it to all of both.
    """
    if adapter not in ADAPTERS:
        return NotApplicable("batches are not made by Python code")
    if too_little := waits(held_up_share):
        return Passed(too_little)
    batch_s = source.wall_s / source.calls
    if batch_s < CHEAP_BATCH_S:
        return Passed(f"`{source.name}` takes only {words.seconds(batch_s)}")
    # A function in C has no frame: where the GIL is not held, a comprehension is a loop around one, such as a decoder.
    in_python = (lock_held(source) or 0.0) >= _HELD_FROM
    spots = [
        spot
        for spot in hot_spots
        if (in_python and spot.function.endswith(_COMPREHENSIONS) and not spot.library)
        or (spot.library == "pandas" and _goes_over_rows(spot, adapter))
    ]
    share = _share(spots)
    if share < _SHARE_FROM:
        return Passed(f"going row by row is {words.share(share)} of the time of a batch")
    callers = {written_in(spot.function) for spot in spots}
    around = [spot for spot in hot_spots if spot.function in callers and not spot.library and spot not in spots]
    together = min(1.0, share + _share(around))
    # What is left computes on whole arrays.
    left = Range(1 - share / 2, max(_WHOLE, 1 - together), max(_WHOLE_AT_BEST, 1 - 1.1 * together))
    table = any(spot.library == "pandas" for spot in spots)
    what = "indexing a pandas table" if table else "a comprehension over its rows"
    return Found(
        title="Batches are put together row by row",
        message=f"`{source.name}` takes {words.seconds(batch_s)} a batch, {words.share(share)} of it in {what} "
        f"({_where(spots)}). That holds training up {words.share(held_up_share)} of the time.",
        phase="input_wait",
        evidence={
            "waiting for data, or held up by making it": f"{words.share(held_up_share)} of training",
            "making one batch": f"{words.seconds(batch_s)}, {words.seconds(source.cpu_s / source.calls)} on the CPU",
            f"row by row ({_where(spots)})": words.share(share),
        },
        remedy="Take all rows of the batch in one call of NumPy.",
        code="  def __init__(self, ...):\n+     self.x = table.to_numpy()\n  def __getitem__(self, index):\n"
        "-     x = np.stack([table.iloc[row] for row in rows])\n+     x = self.x[rows]"
        if table
        else "- x = np.array([f(row) for row in rows])\n+ x = f(table[rows])  # with f written for arrays",
        change=faster_source(taken_from_memory(left, batch_s, data.batch_bytes or 0)),
        confidence="likely",
    )


@rule("IP26", "h5-random-access")
def h5_random_access(
    adapter: str, held_up_share: float, source: Source, hot_spots: tuple[HotSpot, ...], data: Data
) -> Outcome:
    """Rows are read at random from a chunked HDF5 file.

    What it means: the time of a batch goes into indexing an HDF5 dataset.

    Why it is slow: HDF5 reads, and unpacks, a whole chunk for every row that lies in another chunk than the one before.

    What to change: shuffle blocks of rows rather than rows; write the file with chunks of the size of a batch and
    without compression; or convert it once to `.npy` and map it with `mmap_mode="r"`.

    When this is wrong: rows are read in order, and what takes the time is the disk.

    Sources: h5py, "Chunked storage". The share of indexing is measured by sampling the stack. Measured on two cores,
    an array mapped into memory: 1 % of the time of a batch was left. What it is on a slow disk is not known, so this is
    a hint, and its range is wide.
    """
    if adapter not in ADAPTERS:
        return NotApplicable("batches are not made by Python code")
    if too_little := waits(held_up_share):
        return Passed(too_little)
    spots = [spot for spot in hot_spots if spot.library == "h5py" and spot.callee == "__getitem__"]
    share = _share(spots)
    if share < _SHARE_FROM:
        return Passed(f"indexing HDF5 datasets is {words.share(share)} of the time of a batch")
    batch_s = source.wall_s / source.calls
    left = Range(1 - share * 0.2, 1 - share, 1 - share)
    return Found(
        title="Most of a batch is reading an HDF5 dataset",
        message=f"{words.share(share)} of the time of a batch goes into indexing an HDF5 dataset ({_where(spots)}). "
        f"Read at random, every row costs a whole chunk. That holds training up "
        f"{words.share(held_up_share)} of the time.",
        phase="input_wait",
        evidence={
            "waiting for data, or held up by making it": f"{words.share(held_up_share)} of training",
            f"in h5py ({_where(spots)})": words.share(share),
        },
        remedy="Convert it once to an array that can be mapped into memory, or shuffle blocks of rows.",
        code='- x = file["x"][sorted(rows)]\n'
        '+ np.save("x.npy", file["x"][:])                     # once\n'
        '+ x = np.load("x.npy", mmap_mode="r")[rows]',
        change=faster_source(taken_from_memory(left, batch_s, data.batch_bytes or 0)),
        confidence="hint",
    )


RULES = (open_file_per_batch, python_row_assembly, h5_random_access)
