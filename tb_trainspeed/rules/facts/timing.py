"""Facts of where the time of the fit went: its steps, epochs and callbacks, and what its logs did meanwhile."""

from tb_trainspeed.profile import (
    ONE_OFF_PHASES,
    CallbackFacts,
    Compilation,
    Curve,
    Hook,
    NestedCall,
    Profile,
    Quantiles,
    Timeline,
    Validation,
)
from tb_trainspeed.rules.facts.generated import generated
from tb_trainspeed.rules.facts.model import step_flops
from tb_trainspeed.rules.facts.registry import fact
from tb_trainspeed.rules.facts.steady import COMPUTING, Steady, releasing_s_of, share_of, steady_of, typical_of

# Arithmetic speed of small layers on a few cores, FLOP/s. An assumption.
_FLOPS = 15e9
# What torch's host takes for a step and for each of its layers at most, seconds. In 60 fits on two cores whose layers
# are neither wide nor recurrent, steps that hardly compute took 5 to 7 ms with three layers, and 13 with eleven.
_HOST_S, _HOST_S_A_LAYER = 0.006, 0.002
_RECURRENT = ("LSTM", "GRU", "RNN", "Bidirectional", "TimeDistributed")
# Between two calls, Keras takes TensorFlow 0.2 to 0.3 ms. Where that is longer beside a source in Python, it waits for
# Python's lock, and once more where a batch is fetched: in three runs whose source a fix made nearly free, the host's
# part fell by 1.3 to 1.9 times what it was longer.
_BETWEEN_CALLS_S, _LOCKED_TIMES = 0.0003, 1.6
# Fewer calls do not tell their quantiles.
ENOUGH_CALLS = 20
# Torch computes in the thread that makes the batches. Of nine slow and fixed trainings whose batches Python makes, most
# of them nearly free once fixed, the fixed ones' computing took the median call of the slow one times this, four fifths
# between 0.9 and 1.01: calls after a long wait that find their threads asleep make the mean longer.
IN_TURN = 0.97
# A step after a long wait finds its threads asleep and its caches cold. What is left of computing once workers took the
# waits away, on TensorFlow and JAX: 0.6 to 0.9, measured on two cores.
_AWAKE = 0.7
# Calls that nothing disturbs differ as well: in all but three of a hundred fits on torch whose data were fast, a
# twentieth took up to 0.6 to 0.97 of the mean; beside slow pipelines of tf.data, whose threads take cores and Python's
# lock, 0.14 to 0.44.
_UNDISTURBED_FROM = 0.6
# Per-step hooks; all others run once an epoch or more seldom.
BATCH_HOOKS = frozenset({"on_train_batch_begin", "on_train_batch_end", "on_batch_begin", "on_batch_end"})


@fact
def steady(profile: Profile) -> Steady | None:
    """Steady training without the pauses that come by chance."""
    return typical_of(profile)


@fact
def steps(profile: Profile) -> int:
    return profile.steps.count


@fact
def step_s(profile: Profile) -> float | None:
    """Mean time of a steady step, seconds: its share of everything that recurs with each step."""
    steady = typical_of(profile)
    if steady is None:
        return None
    return sum(steady.per_step(phase) for phase in (*COMPUTING, "input_wait", "gc", "trainspeed")) + _batch_hooks_s(
        profile
    ) / max(1, profile.steps.count)


def _batch_hooks_s(profile: Profile) -> float:
    return sum(row.total_s for row in profile.hooks if row.hook in BATCH_HOOKS)


@fact
def wait_s(profile: Profile) -> float | None:
    """Mean wait of a steady step for its batch, seconds."""
    steady = typical_of(profile)
    return steady.per_step("input_wait") if steady and profile.steps.wait_s is not None else None


@fact
def compute_s(profile: Profile) -> float | None:
    """Mean time inside the train function less the wait for the batch, seconds."""
    steady = typical_of(profile)
    return _computing_s(steady) if steady else None


def _computing_s(steady: Steady) -> float:
    return sum(map(steady.per_step, COMPUTING))


@fact
def computing_s(profile: Profile) -> float | None:
    """Seconds of a steady step that are computed: all of it but the wait for data and the callbacks."""
    steady = typical_of(profile)
    return sum(steady.per_step(name) for name in COMPUTING) or None if steady else None


@fact
def computing_share(profile: Profile) -> float | None:
    """Share of steady training that is computing, 0 to 1."""
    steady, computing = typical_of(profile), computing_s(profile)
    if steady is None or computing is None:
        return None
    return float(computing * steady.steps_per_epoch / steady.epoch_s)


@fact
def dispatch_s(profile: Profile) -> float | None:
    return profile.steps.dispatch_s


@fact
def gap_s(profile: Profile) -> float | None:
    """What Keras does between two calls of the train function outside callbacks, seconds a step."""
    return profile.steps.gap_s


@fact
def told_dispatch_s(profile: Profile) -> float:
    """What the host takes for a step however little it computes, seconds; 0 where it is not told apart."""
    return profile.steps.dispatch_s or 0.0


@fact
def overhead_s(profile: Profile) -> float | None:
    """What a step takes however little it computes on, seconds: the host's dispatch.

    On torch it is the host that computes, on a CPU: there it is what the arithmetic of the layers does not explain, at
    15 GFLOP/s, which is an assumption. The rest may be large layers or other programs as well, so that it is no more
    than so many layers were seen to take.
    """
    if profile.environment.backend != "torch":
        return profile.steps.dispatch_s
    flops, computed_s = step_flops(profile), compute_s(profile)
    if flops is None or computed_s is None or any(device.kind != "CPU" for device in profile.environment.devices):
        return None
    unexplained_s, layers = max(0.0, float(computed_s) - float(flops) / _FLOPS), profile.model.layers
    if profile.model.custom_train_step or any(part in layer.kind for layer in layers for part in _RECURRENT):
        return unexplained_s
    return min(unexplained_s, _HOST_S + _HOST_S_A_LAYER * len(layers))


@fact
def dispatch_share(profile: Profile) -> float | None:
    """Share of the step that is the host's dispatch, 0 to 1."""
    steady, dispatch = typical_of(profile), profile.steps.dispatch_s
    if steady is None or dispatch is None:
        return None
    step = _computing_s(steady) + steady.per_step("input_wait")
    return min(1.0, dispatch / step) if step else None


@fact
def input_share(profile: Profile) -> float | None:
    """Share of steady training spent waiting for batches, 0 to 1."""
    return share_of(profile, "input_wait")


def locked_s_of(profile: Profile) -> float:
    """Seconds of a step for which its host waits for Python's lock while Python code makes batches beside it."""
    source = profile.data.source
    if profile.environment.backend != "tensorflow" or profile.data.stages or not (source and source.cpu_s):
        return 0.0
    return _LOCKED_TIMES * max(0.0, (profile.steps.gap_s or 0.0) - _BETWEEN_CALLS_S)


def least_call_of(profile: Profile) -> float | None:
    """Returns the calls of the train function that are disturbed least, share of the mean call, 0 to 1."""
    call = profile.steps.call
    return call.p05_s / call.mean_s if call and call.count >= ENOUGH_CALLS and call.mean_s else None


def typical_call_of(profile: Profile) -> float | None:
    """Returns the median call of the train function, share of the mean, 0 to 1."""
    call = profile.steps.call
    return min(1.0, call.p50_s / call.mean_s) if call and call.count >= ENOUGH_CALLS and call.mean_s else None


def takes_turns(profile: Profile) -> bool:
    """Torch on the CPU computes in the thread that asks for the next batch; workers make batches meanwhile."""
    devices = profile.environment.devices
    workers = profile.data.workers or 0
    alone = workers == 0 or (workers == 1 and profile.data.adapter == "PyDatasetAdapter")  # where 1 means none
    return profile.environment.backend == "torch" and all(device.kind == "CPU" for device in devices) and alone


@fact
def awake(profile: Profile) -> float:
    """What is left of computing once no step waits for its batch, 0 to 1."""
    typical = typical_call_of(profile) if takes_turns(profile) else None
    return IN_TURN * typical if typical else _AWAKE


def _cores_taken(profile: Profile) -> float:
    """Share of the cores that what makes batches takes where the steps compute on them as well, 0 to 1.

    Of a tf.data pipeline that is what its stages did in deep samples, of Python code the CPU time of its threads.
    """
    environment, data, step = profile.environment, profile.data, step_s(profile)
    if not step or not environment.cores or any(device.kind != "CPU" for device in environment.devices):
        return 0.0
    if data.stages:
        making_s = sum(stage.busy_s for stage in profile.breakdown.stages) if profile.breakdown else 0.0
        if made := generated(profile):
            making_s = max(making_s, made.cpu_s / made.calls)
    else:
        making_s = data.source.cpu_s / data.source.calls if data.source and data.source.calls else 0.0
    taken: float = making_s / (step * environment.cores)
    return min(1.0, taken)


@fact
def held_up_share(profile: Profile) -> float | None:
    """Share of steady training for which steps wait for batches, or are held up while some are made, 0 to 1.

    On TensorFlow they wait for Python's lock; on torch they compute slower, beside a tf.data pipeline. Elsewhere what
    makes batches beside steps on the same cores takes its share of these from them (processor sharing, Kleinrock,
    "Queueing Systems" II, 1976).
    """
    steady, waits = typical_of(profile), input_share(profile)
    if steady is None or waits is None:
        return None
    held_s, least = locked_s_of(profile), least_call_of(profile)
    computing_s = sum(steady.per_step(phase) for phase in COMPUTING)
    if not takes_turns(profile):
        held_s += _cores_taken(profile) * computing_s
    elif least and profile.data.stages:
        held_s += max(0.0, 1 - least / _UNDISTURBED_FROM) * computing_s
    held: float = held_s * steady.steps_per_epoch / steady.epoch_s
    return min(1.0, float(waits) + held)


@fact
def transfer_share(profile: Profile) -> float | None:
    """Share of steady training in which the step waits for a copy to the device, 0 to 1."""
    return share_of(profile, "transfer")


@fact
def collectives_share(profile: Profile) -> float | None:
    return share_of(profile, "collectives")


@fact
def checkpoint_share(profile: Profile) -> float | None:
    return share_of(profile, "checkpointing")


@fact
def validation_share(profile: Profile) -> float | None:
    return share_of(profile, "validation")


@fact
def steady_wall_s(profile: Profile) -> float | None:
    """Seconds of steady training so far."""
    steady = steady_of(profile)
    return steady.epoch_s * steady.epochs if steady else None


@fact
def epochs(profile: Profile) -> int:
    return max(1, profile.ledger.epochs)


@fact
def epochs_planned(profile: Profile) -> int:
    return profile.epochs_planned or 1


@fact
def planned_s(profile: Profile) -> float | None:
    """What all epochs that were asked for take, seconds."""
    steady = steady_of(profile)
    return steady.epoch_s * (profile.epochs_planned or 1) if steady else None


@fact
def restart_s(profile: Profile) -> float | None:
    """Boundary between two epochs, seconds, without the pauses that come by chance."""
    typical = typical_of(profile)
    return typical.phases.get("epoch_restart", 0.0) / typical.epochs if typical else None


@fact
def boundaries_s(profile: Profile) -> float:
    """All boundaries between epochs, and the end of the last one, seconds."""
    return profile.ledger.phases.get("epoch_restart") or 0.0


@fact
def releases(profile: Profile) -> Quantiles | None:
    """What it takes steady epochs to let the iterator of the epoch before go."""
    return profile.epochs.release


@fact
def releasing_s(profile: Profile) -> float | None:
    """What a steady epoch waits for the iterator of tf.data before it to end, mean seconds."""
    return releasing_s_of(profile)


@fact
def wall_s(profile: Profile) -> float:
    return profile.ledger.wall_s


@fact
def fit_s(profile: Profile) -> float:
    """What the fit takes, seconds; while it runs, with all epochs that were asked for, if that can be told."""
    once_s = sum(profile.ledger.phases.get(phase) or 0.0 for phase in ONE_OFF_PHASES)
    planned = planned_s(profile) if profile.status == "running" else None
    return max(profile.ledger.wall_s, once_s + (planned or 0.0))


@fact
def fit_steps(profile: Profile) -> int:
    """Steps of the fit; while it runs, of all epochs that were asked for, if that can be told."""
    steady = steady_of(profile)
    if profile.status != "running" or steady is None:
        return profile.ledger.steps
    return max(profile.ledger.steps, round(steady.steps_per_epoch * (profile.epochs_planned or 1)))


@fact
def startup_s(profile: Profile) -> float | None:
    return profile.ledger.phases.get("startup")


@fact
def compilation(profile: Profile) -> Compilation:
    return profile.compilation


@fact
def compilation_s(profile: Profile) -> float | None:
    return profile.ledger.phases.get("compilation")


@fact
def fit_index(profile: Profile) -> int | None:
    """Which fit of its model it is."""
    return profile.model_fit_index


@fact
def validation(profile: Profile) -> Validation:
    """How validation was set up and what it did; of a fit without, it has no runs."""
    return profile.validation or Validation()


@fact
def hooks(profile: Profile) -> tuple[Hook, ...]:
    return profile.hooks


@fact
def nested_calls(profile: Profile) -> tuple[NestedCall, ...]:
    return profile.nested_calls


@fact
def callbacks(profile: Profile) -> tuple[CallbackFacts, ...]:
    return profile.callbacks


@fact
def timeline(profile: Profile) -> Timeline:
    return profile.timeline


@fact
def curves(profile: Profile) -> tuple[Curve, ...]:
    """What the loss and the metrics did from epoch to epoch."""
    return profile.curves


@fact
def learning_rate(profile: Profile) -> float | None:
    """The highest learning rate of an epoch, known where a callback of Keras that changes it reports it: one that has
    fallen by plan says nothing of where the training began."""
    return next((curve.highest for curve in profile.curves if curve.name == "learning_rate"), None)
