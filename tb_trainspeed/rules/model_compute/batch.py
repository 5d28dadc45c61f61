"""What a batch holds: too few samples, or mostly padding."""

from tb_trainspeed.profile import Data, Layer
from tb_trainspeed.rules import words
from tb_trainspeed.rules.facts import Steady
from tb_trainspeed.rules.model_compute.shared import computes_little
from tb_trainspeed.rules.rule import Change, Found, NotApplicable, Outcome, Passed, Range, exactly, rule

_TINY_BATCH, _LARGER = 16, 8
_USUAL_BATCH = 32  # `fit` takes so many, where it is not told how many
_DISPATCH_FROM = 0.3
# Arithmetic speed of small layers on a few cores, FLOP/s: pessimistic, expected, optimistic. An assumption. On an
# accelerator see `accelerator_flops`.
_FLOPS = (3e9, 15e9, 60e9)
# How fast a batch gets to the layers and through them, bytes/s: pessimistic, expected, optimistic. Measured on two
# cores: batches of 10 MB, eight times as large, at less than 1 GB/s, as memory for them is had from the kernel anew.
_BYTES_PER_S = (0.75e9, 3e9, 20e9)
_PADDING_FROM = 0.4
_OF_ONE_LENGTH = ("Flatten", "Reshape")


def arithmetic_of(
    batch_flops: float, batch_bytes: float, larger: float, device_s: float, accelerator_flops: tuple[float, ...] = ()
) -> Range:
    """Returns the factor on the device's time of a step when its batch becomes so many times as large."""
    rates = zip(accelerator_flops or _FLOPS, _BYTES_PER_S, strict=True)
    more_s = ((batch_flops / flops + batch_bytes / moved) * (larger - 1) for flops, moved in rates)
    return Range(*(1 + min(larger - 1, more / max(device_s, 1e-9)) for more in more_s))


def made_of(larger: float) -> Range:
    """Returns the factor on what makes a batch when it becomes so many times as large.

    All of it is made sample by sample; at best half of it is.
    """
    return Range(larger, larger, (1 + larger) / 2)


@rule("MC00", "tiny-batch")
def tiny_batch(
    batch_size: int,
    backend: str,
    overhead_s: float,
    compute_s: float,
    step_s: float,
    sample_flops: float,
    accelerator_flops: tuple[float, ...],
    data: Data,
    steady: Steady,
) -> Outcome:
    """The batch is so small that most of a step is overhead.

    What it means: a step trains on a handful of samples, and a good part of it is overhead, which costs the same for
    one sample and for a hundred. From 17 to 32, which is what `fit` takes where it is not told, it is a hint.

    Why it is slow: an epoch takes as many steps as it has batches, and each pays the overhead; the device computes on
    arrays too small to keep it busy.

    What to change: a larger batch. It changes training: raise the learning rate with it and check the validation loss.

    When this is wrong: memory does not allow more, or the small batch is wanted as a regulariser.

    Sources: https://arxiv.org/abs/1706.02677 (learning rate and batch size). The overhead is the host's dispatch, which
    is measured; on torch, whose host computes as well, what the arithmetic of the layers does not explain. Measured on
    two cores: 16.7 times faster from 8 to 256 samples, and no faster for images of 600 KB. The prediction keeps the
    overhead and adds the arithmetic of the further samples, counted from the layers, at 3, 15 or 60 GFLOP/s, their
    bytes at 0.75, 3 or 20 GB/s, and what it takes to make them. On a GPU it takes 0.8 to 9.7 TFLOP/s, from Ampere on 2
    to 21: not verified on hardware. On torch with a GPU the overhead is not told, and the rule is silent: HW10 asks how
    busy the GPU is.
    """
    if batch_size > _USUAL_BATCH:
        return Passed(f"{batch_size} samples a batch")
    share = min(1.0, overhead_s / step_s)
    if share < _DISPATCH_FROM:
        return Passed(f"overhead is only {words.share(share)} of the step")
    larger, tiny = batch_size * _LARGER, batch_size <= _TINY_BATCH
    # On torch overhead and arithmetic are one quantity of the model, as they are one in time.
    device_s = max(1e-5, compute_s if backend == "torch" else compute_s - overhead_s)
    growth = arithmetic_of(sample_flops * batch_size, data.batch_bytes or 0, _LARGER, device_s, accelerator_flops)
    # Arrays are sliced.
    made = Range(_LARGER, _LARGER / 2, 1.0) if data.adapter == "ArrayDataAdapter" else made_of(_LARGER)
    if steady.steps_per_epoch < _LARGER:
        return NotApplicable("the data are one batch")
    return Found(
        title="The batch is tiny" if tiny else "The batch is small",
        message=f"A step trains on {batch_size} samples, and {words.share(share)} of it is overhead that "
        "costs the same for many.",
        phase="compute",
        evidence={
            "samples a batch": str(batch_size),
            "compute a step": words.seconds(compute_s),
            "of it overhead": words.seconds(overhead_s),
        },
        remedy=f"Train on {larger} samples a step, raise the learning rate with it, and check the validation loss.",
        code=f"- batch_size={batch_size}\n+ batch_size={larger}",
        change=Change(
            factors={
                "steps": exactly(1 / _LARGER),
                "device_s": growth,
                "supply_s": made,
                "source_cpu_s": made,
                "cpu_s": growth,
            }
        ),
        confidence="certain" if tiny else "hint",
        changes_results="training",
        bars={"overhead": overhead_s, "the rest of computing": max(0.0, compute_s - overhead_s)},
    )


# On TensorFlow Keras takes what its first two batches have in common for the shape of all: so the longest comes first.
TRIMMED = """\
- model.fit(x, y, batch_size={batch})
+ class Trimmed(keras.utils.PyDataset):
+     def __init__(self, x, y, size):
+         super().__init__()
+         self.x, self.y = x, y
+         self.lengths = (np.arange(1, x.shape[1] + 1) * (x != 0)).max(1)
+         rows = self.lengths.argsort()
+         batches = [rows[i : i + size] for i in range(0, len(rows), size)]
+         self.batches = batches[-1:] + batches[:-1]
+
+     def __len__(self):
+         return len(self.batches)
+
+     def __getitem__(self, index):
+         rows = self.batches[index]
+         longest = self.lengths[rows].max() // 16 * 16 + 16  # few shapes to compile for
+         return self.x[rows, :longest], self.y[rows]
+
+ model.fit(Trimmed(x, y, {batch}))"""
_BUCKETS = """\
+ def trimmed(x, y):
+     return x[: tf.reduce_max(tf.where(x != 0, tf.range(1, tf.size(x) + 1), 0))], y
+
+ boundaries = [17, 33, 65, 129, 257, 513, 1025, 4097]
+ dataset = dataset.unbatch().map(trimmed).bucket_by_sequence_length(
+     lambda x, y: tf.size(x), boundaries, (len(boundaries) + 1) * [{batch}], pad_to_bucket_boundary=True,
+ )"""


# Rows as they come: a batch is as long as the longest of them.
_COLLATED = """\
+ def trimmed(samples):
+     x, y = torch.utils.data.default_collate(samples)
+     longest = int((torch.arange(1, x.shape[1] + 1) * (x != 0)).max())
+     return x[:, :longest], y
- DataLoader(...)
+ DataLoader(..., collate_fn=trimmed)"""


@rule("MC03", "padding-waste")
def padding_waste(data: Data, layers: tuple[Layer, ...], computing_share: float, computing_s: float) -> Outcome:
    """Much of what the model computes is padding.

    What it means: rows of tokens end in zeros, to be as long as the longest of all.

    Why it is slow: layers compute on padding as on everything else; a mask makes them forget the result, not the work.

    What to change: batches of rows of similar length, without the zeros that none of them needs; in few lengths,
    because each is traced and compiled anew.

    When this is wrong: 0 is a token of its own and stands at the ends of rows. On TPUs and with XLA shapes must be few.
    The model must take rows of any length: the rule is silent where it flattens them.

    Sources: https://www.tensorflow.org/api_docs/python/tf/data/Dataset#bucket_by_sequence_length,
    https://www.carted.com/blog/variable-length-sequences-in-tensorflow-part-1. The share of zeros is counted in the
    first rows. Measured on two cores: 5.3 times faster. The prediction takes 40 to 100 % of the padding away; of
    a `DataLoader`, whose batches hold rows as they come, 10 to 100 %.
    """
    if not any(layer.kind == "Embedding" for layer in layers):
        return NotApplicable("no tokens are looked up")
    if any(layer.kind in _OF_ONE_LENGTH for layer in layers):
        return NotApplicable("the model needs rows of one length")
    share = data.padding_share
    if share is None:
        return NotApplicable("the inputs hold no rows of whole numbers")
    if share < _PADDING_FROM:
        return Passed(f"{words.share(share)} of the tokens are padding")
    if too_little := computes_little(computing_share):
        return Passed(too_little)
    left = Range(1 - 0.4 * share, 1 - 0.8 * share, 1 - share)
    code = _BUCKETS if data.adapter == "TFDatasetAdapter" else TRIMMED
    remedy = "Put rows of similar length into a batch, and cut it after the longest of them."
    if data.adapter == "TorchDataLoaderAdapter":
        left = Range(1 - 0.1 * share, 1 - 0.5 * share, 1 - share)
        code, remedy = _COLLATED, "Cut every batch after the longest of its rows; rows of similar length save more."
    return Found(
        title="Much of what the model computes is padding",
        message=f"{words.share(share)} of the tokens are zeros at the ends of rows; a step computes "
        f"{words.seconds(computing_s)} on all of them.",
        phase="compute",
        evidence={
            "padding": f"{words.share(share)} of the tokens",
            "computing": f"{words.share(computing_share)} of training",
        },
        remedy=remedy,
        code=code.format(batch=data.batch_size or 32),
        change=Change(factors={"device_s": left}),
        confidence="likely",
        changes_results="training",
    )


RULES = (tiny_batch, padding_waste)
