"""Facts of the data and of what makes its batches."""

from tb_trainspeed.profile import Data, Files, HotSpot, Profile, Source, Stage
from tb_trainspeed.rules.facts.registry import fact
from tb_trainspeed.rules.facts.steady import steady_of
from tb_trainspeed.rules.facts.timing import least_call_of


@fact
def data(profile: Profile) -> Data:
    """How the training data reaches the step. What of it may be missing is a fact of its own."""
    return profile.data


@fact
def adapter(profile: Profile) -> str | None:
    return profile.data.adapter or None


@fact
def data_kind(profile: Profile) -> str:
    return profile.data.kind


@fact
def inputs(profile: Profile) -> str | None:
    """Dtypes and shapes as the user hands them over, such as `float32(32, 10), int64(32,)`."""
    return profile.data.inputs


@fact
def files(profile: Profile) -> Files | None:
    return profile.data.files


@fact
def batch_size(profile: Profile) -> int | None:
    return profile.data.batch_size


@fact
def receive_s(profile: Profile) -> float | None:
    """The CPU time of receiving one batch from the process that made it."""
    return profile.data.receive_s


@fact
def batch_bytes(profile: Profile) -> int | None:
    return profile.data.batch_bytes


@fact
def batches_per_epoch(profile: Profile) -> int | None:
    """Batches in a pass over the data: as they say, or, as of records in files, as epochs that ended with them had."""
    data, steady = profile.data, steady_of(profile)
    if data.batches_per_epoch or data.steps_per_epoch or profile.steady is None or steady is None:
        return data.batches_per_epoch
    return round(steady.steps_per_epoch)


@fact
def epoch_bytes(profile: Profile) -> int | None:
    """Bytes of one epoch of batches as they reach the step."""
    batches = batches_per_epoch(profile)
    return profile.data.batch_bytes * batches if profile.data.batch_bytes and batches else None


@fact
def workers(profile: Profile) -> int:
    return profile.data.workers or 1


@fact
def multiprocessing(profile: Profile) -> bool:
    return bool(profile.data.use_multiprocessing)


@fact
def least_call_share(profile: Profile) -> float | None:
    """The calls of the train function that what makes the batches disturbs least, share of the mean call, 0 to 1."""
    return least_call_of(profile)


@fact
def source(profile: Profile) -> Source | None:
    return profile.data.source


@fact
def hot_spots(profile: Profile) -> tuple[HotSpot, ...] | None:
    """Where the code that makes batches spends its time. Calls of a few milliseconds are seldom seen at work."""
    return profile.data.source.hot_spots or None if profile.data.source else None


@fact
def stages(profile: Profile) -> tuple[Stage, ...]:
    return profile.data.stages
