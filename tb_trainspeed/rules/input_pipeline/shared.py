"""What the rules of the input pipeline share: when they speak, and what they say of a pipeline."""

import dataclasses
import math
import re
from collections.abc import Mapping, Sequence

from tb_trainspeed.profile import Data, Source, Stage
from tb_trainspeed.rules import words
from tb_trainspeed.rules.rule import Change, ChangesResults, Range

# XProf calls a fit moderately input-bound from 5 % and highly from 20 %. Beside validation or callbacks that take most
# of training, a tenth of it may be most of a step. What a fix gains decides besides: of 181 fits on one machine, 52 of
# them controls, four more would get a finding without any threshold here, none of them a control.
SPEAK_FROM = 0.1
# Below this a Python source costs less than handing its batches over does.
CHEAP_BATCH_S = 0.001
# What handing one element from stage to stage costs tf.data: pessimistic, expected, optimistic. Measured on two cores:
# 7 to 20 microseconds, less where several threads do it.
HAND_ON_S = Range(25e-6, 7e-6, 3e-6)
# How fast batches are put together from memory. Measured on two machines of two cores, images of a cache: 3.3 GB a
# second on one, 6.6 and more on the other.
MEMORY_BYTES_PER_S = Range(1.5e9, 6e9, 20e9)
#: What a cache of tf.data leaves of the CPU time beside the steps, of which computing takes its part, and of the
#: boundary between epochs, where the first batch is there at once. Measured on two cores, seven runs on TensorFlow and
#: JAX: 0.24 to 0.39, 1.0 in one whose steps hardly waited; and four of the latter: 0 to 0.1.
TAKEN_FROM_CACHE = {"source_cpu_s": Range(0.45, 0.32, 0.05), "restart_s": Range(1.0, 0.2, 0.0)}
# How often a batch of tf.data is copied on its way, where that is not once: on JAX it becomes an array of NumPy, and
# then one of JAX. Measured on two machines of two cores.
_COPIES = {"jax": 3}
# Of a generator nothing is left. An assumption: its stages do hardly anything else.
_GENERATED_FROM_CACHE = {**TAKEN_FROM_CACHE, "source_cpu_s": Range(0.3, 0.05, 0.0)}
# What Python code takes for a batch whose parts lie ready in memory, beside copying it. Measured on two cores: 10 to 20
# microseconds for a slice, 50 to 90 for 32 to 64 parts of a cache.
_TAKE_S = Range(300e-6, 60e-6, 10e-6)
# `sys.getswitchinterval()`, as Python sets it, and the share of a batch that has to be longer.
_SWITCH_S, _SEEN_FROM = 0.005, 0.25
# Of this many elements a batch, what an element costs beside its own work counts.
MANY_ELEMENTS = 16

PYTHON = frozenset(("PyFunc", "EagerPyFunc", "PyFuncStateless"))
PARSING = ("DecodeCSV", "ParseExample", "ParseSingleExample", "ParseSequenceExample", "StringSplit", "StringToNumber")
DECODING = ("DecodeJpeg", "DecodePng", "DecodeImage", "DecodeBmp", "DecodeGif", "DecodeAndCropJpeg", "DecodeWav",
            "DecodeCompressed", "ReadFile", "AudioSpectrogram")  # fmt: skip
RESIZING = ("Resize", "ScaleAndTranslate")
HEAVY = (*PARSING, *DECODING, *RESIZING, *PYTHON, "ImageProjectiveTransform", "Conv", "While", "StatelessWhile")
RANDOM = ("Random", "StatelessRandom", "StatefulRandom", "StatefulUniform", "StatefulStandardNormal",
          "StatefulTruncatedNormal", "TruncatedNormal", "StatelessTruncatedNormal", "ParameterizedTruncatedNormal",
          "StatelessParameterizedTruncatedNormal", "Multinomial", "StatelessMultinomial", "SampleDistorted",
          "StatelessSampleDistorted", "StatelessShuffle")  # fmt: skip


def waits(share: float) -> str | None:
    """Returns why there is nothing to gain: the step hardly waits, this share of the time; or `None` where it does."""
    if share >= SPEAK_FROM:
        return None
    return f"the step waits for its batch {words.share(share)} of the time"


def name_of(stage: Stage, otherwise: str) -> str:
    """The function of a stage as code can name it: a lambda has no name."""
    return stage.function if stage.function and "<" not in stage.function else otherwise


def faster_source(factors: Range) -> Change:
    """The source needs this part of its time, and also of the CPU time that it takes from the step."""
    return Change(factors={"supply_s": factors, "source_cpu_s": factors})


def _arrays_of(options: Mapping[str, str]) -> tuple[str, ...]:
    return ("x", "y", "sample_weight") if "sample_weight" in options else ("x", "y")


def batches_of_arrays(size: int | None, options: Mapping[str, str] = {}) -> str:
    """Code that makes a pipeline of the arrays `x` and `y` as Keras does: whole batches, by the indices of their rows.

    One that slices arrays hands every element through every stage, which is what IP23 is about.

    Args:
        size: of a batch.
        options: of the data, which tell whether `fit` shuffled and split, and whether it was given weights.
    """
    batch = f".batch({size or 32})"
    orders = {"False": batch, "batch": f"{batch}.map(tf.random.shuffle)"}
    order = orders.get(options.get("shuffle", ""), f".shuffle(len(x)){batch}")
    names = _arrays_of(options)
    made = ", ".join(f"tf.constant({name})" for name in names)
    taken = ", ".join(f"tf.gather({name}, rows)" for name in names)
    split = options.get("validation_split")
    parts = ", ".join(f"{name}_val" for name in names)
    kept, left_out = (", ".join(f"{name}[{part}]" for name in names) for part in (":n", "n:"))
    apart = f"+ n = int(len(x) * (1 - {split}))\n+ {parts}, {', '.join(names)} = {left_out}, {kept}\n" if split else ""
    return (
        f"+ import tensorflow as tf\n{apart}+ {', '.join(names)} = {made}\n"
        f"+ rows = tf.data.Dataset.range(len(x)){order}\n"
        f"+ dataset = rows.map(lambda rows: ({taken}))"
    )


def fit_of_batches(options: Mapping[str, str], data: str = "dataset") -> str:
    """The first arguments of `fit` for what `batches_of_arrays` made."""
    parts = ", ".join(f"{name}_val" for name in _arrays_of(options))
    return f"{data}, validation_data=({parts})" if "validation_split" in options else data


def applied(call: str, data: Data) -> str:
    """Code that applies a layer to the inputs of every batch, wherever the user makes them.

    Args:
        call: the layer and how it is called, such as `vectorize(x)`.
        data: that it is applied to.
    """
    parts = ", ".join(_arrays_of(data.options))
    mapped = f"lambda {parts}: ({call}, {parts.partition(', ')[2]}), num_parallel_calls=tf.data.AUTOTUNE"
    if data.adapter == "ArrayDataAdapter":
        fitted = f"- model.fit({parts}, ...)\n+ model.fit({fit_of_batches(data.options)}, ...)"
        return f"{batches_of_arrays(data.batch_size, data.options)}\n+ dataset = dataset.map({mapped})\n{fitted}"
    if data.adapter == "PyDatasetAdapter":
        return (
            f"  class {data.kind or 'Batches'}(keras.utils.PyDataset):\n      def __getitem__(self, index):\n"
            f"-         return x, y\n+         return {call}, y"
        )
    if data.adapter == "GeneratorDataAdapter":
        return f"  def generator():\n-     yield x, y\n+     yield {call}, y"
    if data.adapter == "TorchDataLoaderAdapter":
        return (
            "+ def prepared(samples):\n+     x, y = torch.utils.data.default_collate(samples)\n"
            '+     with keras.device("cpu"):   # worker processes can use no GPU; make the layer there, too\n'
            f"+         return torch.tensor(keras.ops.convert_to_numpy({call})), y\n+\n"
            "- DataLoader(...)\n+ DataLoader(..., collate_fn=prepared)"
        )
    return f"+ dataset = dataset.map({mapped})"


def order_of_draws(data: Data) -> tuple[str, ChangesResults]:
    """What is to be said where several make batches that one made, and what that does to results."""
    if not data.options.get("random"):
        return "", "no"
    return (
        " Which of them draws which random numbers is then up to chance, so that runs differ from each other.",
        "training",
    )


def lock_held(source: Source) -> float | None:
    """Returns for what share of a batch its code holds Python's lock, 0 to 1, or `None` where that is not known.

    Who samples it sees the lock held once it was not let go for `sys.getswitchinterval()`: at the end of a batch, and
    so in most of a short one, it is let go before.
    """
    if source.gil_share is None:
        return None
    seen = 1 - _SWITCH_S * source.calls / source.wall_s
    return min(1.0, source.gil_share / seen) if seen > _SEEN_FROM else source.gil_share


def recurring(stages: tuple[Stage, ...], epochs: int) -> tuple[Stage, ...]:
    """The stages that run in every epoch: of several, those after the last cache, which keeps what came before it."""
    kept = max((index for index, stage in enumerate(stages) if "Cache" in stage.kind), default=-1)
    return stages[kept + 1 :] if epochs > 1 else stages


def does(stage: Stage, kinds: tuple[str, ...] | frozenset[str]) -> bool:
    """Whether the function of a stage has operations whose type begins like one of these."""
    return any(operation.startswith(tuple(kinds)) for operation in stage.operations)


def varies(stages: Sequence[Stage]) -> bool:
    """Whether what comes out of these stages is not the same in every epoch, beside its order."""
    return any(does(stage, RANDOM) or stage.kind.startswith(("Sampling", "DirectedInterleave")) for stage in stages)


def maps(stage: Stage) -> bool:
    """Whether a stage applies a function to each element."""
    return stage.kind in ("Map", "ParallelMap")


def batches(stage: Stage) -> bool:
    """Whether a stage puts elements together into batches."""
    return stage.kind.endswith("Batch") and stage.kind != "Unbatch"


def is_generator(stage: Stage) -> bool:
    """Whether a stage is a Python generator."""
    return "GeneratorDataset" in stage.operations


def from_cache(
    elements: float, after: Sequence[Stage], step_s: float, batch_bytes: float, backend: str, mixed: bool = False,
    generated: bool = False,
) -> Change:  # fmt: skip
    """What changes where elements come from a cache of tf.data and go through the stages after it.

    Args:
        elements: of them a batch.
        after: the stages.
        step_s: of a step as it is, seconds.
        batch_bytes: size of a batch.
        backend: of Keras.
        mixed: whether what is cached leaves a part of the work, which is not known apart, to be mapped after it.
        generated: whether a Python generator yields them.
    """
    stays = mixed or any(maps(stage) and (does(stage, HEAVY) or does(stage, RANDOM)) for stage in after)
    before_batch = sum(1 for stage in after if (stage.elements_per_batch or 1) > 1) + 1
    rest = from_memory(elements, before_batch, _COPIES.get(backend, 1) * batch_bytes)
    if stays:
        rest = Range(step_s * 0.8, step_s * 0.4, rest.high)
    left = _GENERATED_FROM_CACHE if generated and not stays else TAKEN_FROM_CACHE
    return Change(sets={"supply_s": rest}, factors=left, first_epoch=False)


def image_shape(described: str | None) -> tuple[int, int] | None:
    """Returns (height, width) of the first image in dtypes and shapes: `uint8(32, 64, 64, 3)` -> (64, 64)."""
    for shape in re.findall(r"\(([^()]*)\)", described or ""):
        sizes = [size.strip() for size in shape.split(",") if size.strip()]
        if len(sizes) in (3, 4) and all(size.isdigit() for size in sizes[-3:]):
            return int(sizes[-3]), int(sizes[-2])
    return None


def from_memory(elements: float, stages: int, batch_bytes: float) -> Range:
    """Seconds that a batch still takes when its elements lie ready in memory and pass a number of stages."""
    return Range(
        *(
            elements * max(1, stages) * hand_on + batch_bytes / rate
            for hand_on, rate in (
                (HAND_ON_S.low, MEMORY_BYTES_PER_S.low),
                (HAND_ON_S.expected, MEMORY_BYTES_PER_S.expected),
                (HAND_ON_S.high, MEMORY_BYTES_PER_S.high),
            )
        )
    )


def share_left(share: float, batch_s: float, batch_bytes: float, samples: int = 300) -> Range:
    """What is left of a batch's time without a share of it that was found by sampling the stack.

    Twice the standard error of a share is the width of the range. It is no less than taking the batch from memory.

    Args:
        share: the share, 0 to 1.
        batch_s: time of a batch, seconds.
        batch_bytes: size of a batch.
        samples: stacks that were looked at.
    """
    share = min(1.0, share)  # a sum of parts may be a little more
    error = 2 * math.sqrt(share * (1 - share) / samples) + 0.02
    return taken_from_memory(Range(1 - share + error, 1 - share, 1 - share - error), batch_s, batch_bytes)


def taken_from_memory(left: Range, batch_s: float, batch_bytes: float) -> Range:
    """What is left of the time of a batch, but no less than Python code needs to take it from memory.

    Args:
        left: shares of the time of a batch, 0 to 1.
        batch_s: that time, seconds.
        batch_bytes: size of a batch.
    """
    ends = zip(*map(dataclasses.astuple, (left, _TAKE_S, MEMORY_BYTES_PER_S)), strict=True)
    return Range(*(min(1.0, max(share, (take + batch_bytes / rate) / batch_s)) for share, take, rate in ends))
