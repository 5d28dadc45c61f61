"""Files that are read and decoded again in every epoch, in a tf.data pipeline or in Python."""

import dataclasses
from collections.abc import Sequence

from tb_trainspeed.profile import Data, HotSpot, Source, Stage
from tb_trainspeed.rules import words
from tb_trainspeed.rules.facts import Steady
from tb_trainspeed.rules.input_pipeline.python_code import ADAPTERS, opens_again, written_in
from tb_trainspeed.rules.input_pipeline.shared import (
    DECODING,
    PARSING,
    PYTHON,
    RANDOM,
    does,
    faster_source,
    from_cache,
    maps,
    name_of,
    share_left,
    varies,
    waits,
)
from tb_trainspeed.rules.rule import Found, NotApplicable, Outcome, Passed, rule

_READERS = frozenset(
    ("PIL", "cv2", "imageio", "skimage", "tifffile", "pydicom", "rasterio", "librosa", "soundfile", "h5py", "pandas",
     "pyarrow", "zipfile", "tarfile", "gzip", "json", "csv", "pickle", "marshal", "msgpack",
     "orjson", "zlib", "zarr", "netCDF4", "nibabel", "av", "decord")
)  # fmt: skip
_READING = frozenset(("open", "read", "load", "loadtxt", "genfromtxt", "imread", "imdecode", "fromfile", "read_bytes"))
# What libraries that read images do to those that are read.
_AUGMENTING = frozenset(
    ("rotate", "transpose", "enhance", "mirror", "flip", "crop", "filter", "transform", "affine", "perspective",
     "autocontrast", "equalize", "invert", "posterize", "solarize", "colorize", "blend", "warpAffine", "GaussianBlur",
     "effect_noise", "resample")
)  # fmt: skip
_SAID = (
    (DECODING, ("files are decoded", "reads or decodes")),
    (("StringSplit",), ("text is split", "splits")),
    (PARSING, ("records are parsed", "parses")),
)


@rule("IP09", "redecode-each-epoch", silences=("IP11",))
def redecode_each_epoch(
    backend: str,
    adapter: str,
    data: Data,
    stages: tuple[Stage, ...],
    held_up_share: float,
    step_s: float,
    source: Source,
    hot_spots: tuple[HotSpot, ...],
    epochs_planned: int,
    epoch_bytes: int,
    batch_bytes: int,
    batches_per_epoch: int,
    memory_available_bytes: int,
    restart_s: float,
    steady: Steady,
) -> Outcome:
    """The same files are read and decoded again in every epoch.

    What it means: most of the time that a batch takes goes into reading and decoding files, and the result, which is
    the same in every epoch, is thrown away.

    Why it is slow: decoding an image costs far more than computing with it once, and it is paid in every epoch.

    What to change: keep what was decoded. In a tf.data pipeline that is `cache()`, after what is the same in every
    epoch and before what is random. In Python `functools.cache` on the function that loads one file does it in one
    line; augmentation stays outside, so that it stays random.

    When this is wrong: the function that loads also augments at random (a cache would freeze that), or the decoded data
    do not fit into memory. The rule speaks up only where an epoch of batches fits into half of the free memory; in
    Python a cache holds what the function returns, which is more where it is cropped or made smaller afterwards. With
    `steps_per_epoch` an epoch may be any part of the data: then the rule speaks only where the stages tell how often
    the fit passes over the files, or where the source of a generator shows a loop without end around one over all
    files, nothing of it at random. How long that one is cannot be seen, so the cache is then bounded.

    Sources: https://www.tensorflow.org/guide/data_performance (caching). Measured on two cores: 2.1 to 2.9 times
    faster. In Python the share of loading is measured by sampling the stack of the code that makes batches; its
    standard error is the width of the predicted range. In tf.data a batch then costs handing its elements on, 3 to 25
    microseconds a stage, and putting them together at 1.5 to 20 GB a second; what else is mapped after the cache is not
    known apart, and widens the range. The gain begins with the second epoch.
    """
    if adapter not in ADAPTERS and not stages:
        return NotApplicable("no files are read: the data are arrays")
    if not stages and (too_little := waits(held_up_share)):
        return Passed(too_little)
    if epochs_planned < 2:
        return NotApplicable("every file is needed once, for there is one epoch")
    if stages:
        drawn = (data.steps_per_epoch or 0) * epochs_planned
        loader = data.options.get("loaded_by", "")
        return _uncached(
            stages, (held_up_share, restart_s / steady.epoch_s), step_s, batch_bytes, backend, batches_per_epoch, drawn,
            memory_available_bytes, loader,
        )  # fmt: skip
    in_parts = data.steps_per_epoch is not None or adapter == "GeneratorDataAdapter"
    if in_parts and data.options.get("generator") != "passes":
        return Passed("an epoch is not known to be one pass over the files")
    name, spots = _loading(hot_spots, data.options.get("opens_nothing", "").split())
    draws = _outer(name) in data.options.get("random", "").split()
    share = sum(spot.share for spot in (filter(_reads, spots) if draws else spots))
    if share < 0.25:
        return Passed(f"reading and decoding files is {words.share(share)} of the time of a batch")
    if epoch_bytes > memory_available_bytes / 2:
        return Passed(f"an epoch of batches is {words.size(epoch_bytes)}, too large to keep in memory")
    batch_s, cpu_s = source.wall_s / source.calls, source.cpu_s / source.calls
    short, apart = name.rpartition(".")[2], ""
    if short.startswith("<"):  # of a comprehension
        short, apart = "load", " Put it into a function of its own for that."
    which, kept, head = "reads and decodes files that are the same in every epoch", short, f"  def {short}(...):"
    if draws:
        which, kept, head = "also draws random numbers", "decoded", "+ def decoded(...):"
        apart = f" That is the part of `{short}` before anything random, in a function of its own."
    # What the number of files is not known of must not fill the memory.
    held = data.batch_size and data.batch_size * batches_per_epoch
    cache = f"functools.lru_cache(maxsize={held})" if in_parts and held else "functools.cache"
    where = f"{spots[0].file.rpartition('/')[2]}:{min(spot.line for spot in spots)}"
    return Found(
        title="The same files are decoded again in every epoch",
        message=f"`{source.name}` takes {words.seconds(batch_s)} a batch, {words.share(share)} of it "
        f"{'for reading and decoding ' * draws}in `{name}`, which {which}. That holds training up "
        f"{words.share(held_up_share)} of the time.",
        phase="input_wait",
        evidence={
            "waiting for data, or held up by making it": f"{words.share(held_up_share)} of training",
            "making one batch": f"{words.seconds(batch_s)}, {words.seconds(cpu_s)} of it on the CPU",
            f"in {short} ({where})": words.share(share),
            "an epoch of batches": f"{words.size(epoch_bytes)} of {words.size(memory_available_bytes)} free memory",
        },
        remedy=f"Keep what `{kept}` returns: then every file is decoded once, in the first epoch.{apart} What it "
        "returns must depend on its arguments alone, which must be hashable, as paths are, and must not be changed in "
        "place; all of it has to fit into memory, also what is cropped or made smaller only afterwards.",
        code=f"+ import functools\n+\n+ @{cache}\n{head}",
        change=dataclasses.replace(faster_source(share_left(share, batch_s, batch_bytes)), first_epoch=False),
        confidence="likely",
        bars={f"a batch in {short}": share * batch_s, "the rest of a batch": (1 - share) * batch_s},
    )


def _reads(spot: HotSpot) -> bool:
    """Whether a line reads or decodes, by what it calls."""
    return (spot.library in _READERS and spot.callee not in _AUGMENTING) or spot.callee in _READING


def _outer(function: str) -> str:
    return function.partition(".<locals>")[0]


def _makes_batches(function: str) -> bool:
    """Whether it is what is given the number of a batch or a sample, and so can be kept in no place of its own."""
    return function.endswith("__getitem__")


def _loading(spots: Sequence[HotSpot], open_nothing: Sequence[str]) -> tuple[str, list[HotSpot]]:
    """Returns the function of the user's in which files are read or decoded, and all samples within it, as what a
    comprehension in it does is kept with the rest.

    `open_nothing`: functions that do not, by their source.
    """
    functions: dict[str, list[HotSpot]] = {}
    for spot in spots:
        within = written_in(spot.function)
        functions.setdefault(spot.function if _makes_batches(within) else within, []).append(spot)
    best: tuple[str, list[HotSpot]] = ("", [])
    for name, own in functions.items():
        total = sum(spot.share for spot in own)
        reading = sum(spot.share for spot in own if _reads(spot) and not opens_again(spot))  # else it is IP18
        if _makes_batches(name) or _outer(name) in open_nothing:
            continue
        if reading > total / 2 and total > sum(spot.share for spot in best[1]):
            best = name, own
    return best


def _uncached(
    stages: tuple[Stage, ...],
    shares: tuple[float, float],
    step_s: float,
    batch_bytes: int,
    backend: str,
    batches_per_epoch: int,
    drawn: int,
    memory_available_bytes: int,
    loader: str,
) -> Outcome:
    """Of a tf.data pipeline.

    `shares`: of training that its steps are held up, and that epochs take to begin. `drawn`: batches of the whole
    fit, where `fit` was given steps, and goes on from epoch to epoch; else 0. `loader`: the function of Keras that may
    have made it.
    """
    heavy = [index for index, stage in enumerate(stages) if maps(stage) and does(stage, (*DECODING, *PARSING))]
    if not heavy:
        return Passed("nothing is read or decoded in the pipeline")
    last = heavy[-1]
    if any(stage.kind.startswith(("Cache", "MemoryCache", "FileCache")) for stage in stages[last:]):
        return Passed("what was decoded is cached")
    if any("Repeat" in stage.kind for stage in stages[:last]):
        return Passed("what repeats without end before it fills no cache")
    if varies(stages[:last]):
        return Passed("what is decoded is drawn at random, and another in every epoch")
    decoding, after = stages[last], stages[last + 1 :]
    # A shuffle buffer is filled before the first step, so that the steps may hardly wait.
    held_up_share, filling = shares[0], shares[1] if any("Shuffle" in stage.kind for stage in after) else 0.0
    if too_little := waits(max(held_up_share, filling)):
        return Passed(too_little)
    # A cache after it would keep the order of the first epoch.
    shuffle = ".shuffle(n)" if any("Shuffle" in stage.kind for stage in stages[:last]) else ""
    elements = decoding.elements_per_batch or 1.0
    if drawn and (decoding.elements is None or drawn * elements < 2 * decoding.elements):
        return Passed("the fit is not known to pass over the files twice")
    count = decoding.elements or elements * batches_per_epoch
    cached_bytes = count * (decoding.output_bytes or batch_bytes / elements)
    if cached_bytes > memory_available_bytes / 2:
        return Passed(f"decoded, the data are {words.size(cached_bytes)}, too large to keep in memory")
    name = name_of(decoding, "decode")
    # Python code in the same function may draw as well: nobody can see that.
    mixed = does(decoding, RANDOM) or bool(PYTHON & set(decoding.operations))
    loaded_by = loader if decoding.function and "<" in decoding.function else ""
    remedy, code = _kept(name, shuffle, mixed, loaded_by, int(count))
    what, does_so = next(said for kinds, said in _SAID if does(decoding, kinds))
    return Found(
        title=f"The same {what} again in every epoch",
        message=f"`{loaded_by or f'map({name})'}` {does_so} {words.number(elements)} element{'s' * (elements > 1)} for "
        "every batch, the same in every epoch, and nothing keeps them. "
        + (
            f"Filling the shuffle buffer with them is {words.share(filling)} of training."
            if filling > held_up_share
            else f"That holds training up {words.share(held_up_share)} of the time."
        ),
        phase="epoch_restart" if filling > held_up_share else "input_wait",
        evidence={
            "waiting for data, or held up by making it": f"{words.share(held_up_share)} of training",
            **({"filling the shuffle buffer": f"{words.share(filling)} of training"} if filling else {}),
            "operations": ", ".join(kind for kind in decoding.operations if kind.startswith((*DECODING, *PARSING))),
            "once kept": f"{words.size(cached_bytes)} of {words.size(memory_available_bytes)} free memory",
        },
        remedy=remedy,
        code=code,
        change=from_cache(elements, after, step_s, batch_bytes, backend, mixed),
        confidence="likely",
        changes_results="training" if mixed else "no",  # the random numbers of another `map` are others
    )


def _kept(name: str, shuffle: str, mixed: bool, loader: str, count: int) -> tuple[str, str]:
    """The remedy and its code. `loader`: the function of Keras in which the files are decoded, if it is one."""
    if loader:
        head = f"dataset = keras.utils.{loader}("
        return (
            "Let it yield single samples, and batch what was kept of them. What else you map comes after the cache.",
            f"- {head}...)\n+ {head}..., batch_size=None).cache()\n+ dataset = dataset.shuffle({count}).batch(32)",
        )
    apart = f" What `{name}` draws at random, also in Python, has to move into a `map` of its own, after the cache."
    parallel = "num_parallel_calls=tf.data.AUTOTUNE"
    return (
        f"Keep what `{name}` returns, before anything random and before `shuffle`.{apart * mixed}",
        f"- dataset{shuffle}.map({name}, ...)\n"
        f"+ dataset.map({'decode' if mixed else name}, {parallel}).cache(){shuffle}"
        + f".map(augment, {parallel})"
        * mixed,
    )


RULES = (redecode_each_epoch,)
