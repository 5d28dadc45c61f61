"""Files that are larger than needed, in a slow format, or far away."""

from collections.abc import Sequence

from tb_trainspeed.profile import Data, Files, Stage
from tb_trainspeed.rules import words
from tb_trainspeed.rules.input_pipeline.shared import (
    RESIZING,
    does,
    faster_source,
    image_shape,
    maps,
    recurring,
    waits,
)
from tb_trainspeed.rules.rule import Change, Found, NotApplicable, Outcome, Passed, Range, rule

_CROPPING = ("SampleDistorted", "StatelessSampleDistorted", "DecodeAndCrop", "CropAndResize", "RandomUniformInt",
             "StatelessRandomUniformInt", "StatefulUniformInt", "ExtractGlimpse")  # fmt: skip
_FROM_DISK = ("ReadFile", "TFRecord", "TextLine", "FixedLengthRecord")
_OVERSIZED_FROM = 4
# The least size at which a JPEG can be decoded: an eighth.
_LEAST_RATIO = 8
_REMOTE = frozenset(
    ("nfs", "nfs4", "cifs", "smb", "smb3", "smbfs", "9p", "drvfs", "fuse", "fuseblk", "ceph", "lustre", "glusterfs",
     "afs", "gs", "s3", "hdfs", "http", "https", "abfs", "virtiofs")
)  # fmt: skip


def _decoder(stages: Sequence[Stage]) -> tuple[int, Stage] | None:
    """Returns the stage that decodes images, and where it is."""
    return next(
        ((index, stage) for index, stage in enumerate(stages) if maps(stage) and does(stage, ("Decode",))), None
    )


def _decoded_at(stage: Stage) -> int:
    """A JPEG may be decoded at a part of its size: 1, 2, 4 or 8 for all, a half, a quarter or an eighth of it."""
    return next((int(kind.rpartition("/")[2]) for kind in stage.operations if "Jpeg/" in kind), 1)


def _cached(stages: Sequence[Stage]) -> bool:
    return any("Cache" in stage.kind for stage in stages)


@rule("IP10", "oversized-images", silences=("IP09", "IP11"))
def oversized_images(
    stages: tuple[Stage, ...], files: Files, input_share: float, wait_s: float, step_s: float
) -> Outcome:
    """Images are decoded at a far larger size than the network sees.

    What it means: the pipeline decodes large images and resizes them to a fraction of their pixels.

    Why it is slow: decoding costs time for every pixel in the file, also for those that resizing throws away.

    What to change: resize the files once, offline. A JPEG can also be decoded at a half, a quarter or an eighth of its
    size, with `tf.io.decode_jpeg(..., ratio=8)`. Where that is not wanted, `cache()` after resizing saves it from the
    second epoch on.

    When this is wrong: random crops of the full resolution are taken, which is then needed; the rule looks for them.
    What is decoded smaller is smoothed in another way, so that the network sees slightly other pixels: those of
    validation and of use have to be made in the same way.

    Sources: https://www.tensorflow.org/api_docs/python/tf/io/decode_jpeg. Measured on two cores, from 1024 to 64
    pixels: 23 times faster, of which the prediction takes what is left besides decoding; decoding is taken to shrink
    with the number of pixels.
    """
    if not stages:
        return NotApplicable("no tf.data pipeline")
    if too_little := waits(input_share):
        return Passed(too_little)
    decoder = _decoder(stages)
    if decoder is None:
        return NotApplicable("no images are decoded")
    index, decoding = decoder
    resized = [stage for stage in stages[index:] if maps(stage) and does(stage, RESIZING)]
    target = image_shape(resized[0].output) if resized else None
    if target is None:
        return Passed("images are not resized to a fixed size")
    if _cached(stages[index:]):
        return Passed("what was decoded is cached")
    if any(does(stage, _CROPPING) for stage in stages[index:]):
        return Passed("the full size is needed for random crops")
    height, width = files.image_height, files.image_width
    if not height or not width:
        return NotApplicable("the size of the images is not known")
    done = _decoded_at(decoding)
    height, width = -(-height // done), -(-width // done)
    ratio = height * width / (target[0] * target[1])
    if ratio < _OVERSIZED_FROM:
        return Passed(f"images of {width} × {height} pixels are resized to {target[1]} × {target[0]}")
    scale = max(power for power in (1, 2, 4, 8) if power == 1 or power * power <= ratio)
    scale = min(_LEAST_RATIO, done * scale)
    left = Range(min(0.9, 3 / ratio + 0.2), min(0.8, 1.5 / ratio + 0.07), min(0.7, 1 / ratio + 0.03))
    jpeg = files.image_format == "jpeg" and scale > done
    before = f", ratio={done}" if done > 1 else ""
    return Found(
        title="Images are far larger than the network needs",
        message=f"Images of {width} × {height} pixels are decoded and resized to {target[1]} × {target[0]}: "
        f"{words.number(ratio)} times the pixels that are used. The step waits {words.seconds(wait_s)} for each batch.",
        phase="input_wait",
        evidence={
            "waiting for data": f"{words.share(input_share)} of training",
            "images in the files": f"{files.image_width} × {files.image_height}, {files.image_format}",
            **({"decoded at": f"1/{done}"} if done > 1 else {}),
            "images in a batch": f"{target[1]} × {target[0]}",
            "time an image": words.seconds(step_s / (decoding.elements_per_batch or 1)),
        },
        remedy="Resize the files once, offline; "
        + (f"or decode them at 1/{scale} of their size, in one line; " * jpeg)
        + "or keep the pixels as they are, with `.cache()` after resizing, where they fit into memory.",
        code=f"- tf.io.decode_jpeg(file, ...{before})\n+ tf.io.decode_jpeg(file, ..., ratio={scale})"
        if jpeg
        else f"+ image = PIL.Image.open(path).resize(({target[1]}, {target[0]}))   # once, offline\n"
        "+ image.save(new_path)",
        change=faster_source(left),
        confidence="likely",
        changes_results="training",
    )


@rule("IP11", "slow-image-format")
def slow_image_format(stages: tuple[Stage, ...], files: Files, input_share: float, wait_s: float) -> Outcome:
    """Images are stored as PNG, which takes long to decode.

    What it means: the pipeline decodes PNG files, and the step waits for it.

    Why it is slow: PNG is unpacked byte by byte in one thread; JPEG takes a fraction of that for photographs, and its
    files are smaller.

    What to change: store photographs as JPEG of high quality; or decode once and keep the arrays.

    When this is wrong: the pixels must not change at all, as for masks and labels.

    Sources: https://www.tensorflow.org/api_docs/python/tf/io/decode_png. Measured on two cores, images of 512 pixels:
    4.6 times faster as JPEG; of 256, the pairs of five machines left a third of the supply in the median.
    """
    if not stages:
        return NotApplicable("no tf.data pipeline")
    if too_little := waits(input_share):
        return Passed(too_little)
    decoder = _decoder(stages)
    if decoder is None:
        return NotApplicable("no images are decoded")
    if _cached(stages[decoder[0] :]):
        return Passed("what was decoded is cached")
    if files.image_format != "png":
        return Passed(f"images are {files.image_format or 'of several kinds'}")
    return Found(
        title="PNG takes long to decode",
        message=f"Every image is a PNG of {words.size(files.mean_bytes or 0)}; decoding them is what the step waits "
        f"{words.seconds(wait_s)} for.",
        phase="input_wait",
        evidence={
            "waiting for data": f"{words.share(input_share)} of training",
            "images": f"{files.image_width} × {files.image_height} PNG, {words.size(files.mean_bytes or 0)} each",
        },
        remedy="Store photographs as JPEG; it loses a little.",
        code='+ PIL.Image.open("image.png").convert("RGB").save("image.jpg", quality=95)   # once, offline',
        change=faster_source(Range(0.7, 0.32, 0.18)),
        confidence="likely",
        changes_results="training",
    )


@rule("IP13", "remote-storage")
def remote_storage(
    data: Data, epochs_planned: int, input_share: float, wait_s: float, busy_cores: float, cores: float
) -> Outcome:
    """The data are read from a network or cloud file system.

    What it means: the files lie on a file system that is not a local disk, and the step waits while the cores idle.

    Why it is slow: every small file costs a round trip to where it is stored.

    What to change: copy the data to a local disk before training; or read few large files, such as TFRecords of 100 MB,
    several at once.

    When this is wrong: the machine keeps the files in memory after the first epoch; then only that one is slow. So it
    is with `cache()` behind the stage that reads, and the rule is silent.

    Sources: https://sharkovsky.github.io/2020/09/18/colab-io-bench.html. How fast a local disk would be cannot be seen
    from here: this is a hint, and its range is wide.
    """
    files = data.files
    if files is None:
        return NotApplicable("no files are seen behind the data")
    if too_little := waits(input_share):
        return Passed(too_little)
    system = files.file_system
    if system is None:
        return NotApplicable("no file system is involved")
    if system.partition(".")[0] not in _REMOTE:
        return Passed(f"the files lie on {system}")
    again = recurring(data.stages, epochs_planned)
    if len(again) < len(data.stages) and not any(does(stage, _FROM_DISK) for stage in again):
        return Passed("what was read is cached")
    if busy_cores > cores / 2:
        return Passed(f"{busy_cores:.1f} of {cores:g} cores are busy: it is not the storage that makes the step wait")
    size = f", {words.size(files.mean_bytes)} each" if files.mean_bytes else ""
    return Found(
        title="The data lie on a network file system",
        message=f"Files are read from {system}{size}; the step waits {words.seconds(wait_s)} for each batch while "
        f"only {busy_cores:.1f} of {cores:g} cores are busy.",
        phase="input_wait",
        evidence={
            "waiting for data": f"{words.share(input_share)} of training",
            "file system": system,
            "cores busy": f"{busy_cores:.1f} of {cores:g}",
        },
        remedy="Copy the data to a local disk before training.",
        code="+ shutil.copytree(remote_folder, local_folder, dirs_exist_ok=True)",
        change=Change(factors={"supply_s": Range(0.95, 0.5, 0.1)}),
        confidence="hint",
    )


RULES = (oversized_images, slow_image_format, remote_storage)
