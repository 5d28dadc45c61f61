"""Who makes the batches: nobody beside the training, threads, or processes."""

from tb_trainspeed.profile import Data, Source
from tb_trainspeed.rules import words
from tb_trainspeed.rules.facts import Steady
from tb_trainspeed.rules.input_pipeline.shared import order_of_draws, waits
from tb_trainspeed.rules.input_pipeline.side_by_side import code_of_pydataset, side_by_side
from tb_trainspeed.rules.rule import Change, ChangesResults, Found, NotApplicable, Outcome, Passed, Range, rule

# Pickling a batch in a process, sending it through a pipe and unpickling it: bytes a second. Measured on two cores of
# several machines: 0.2 to 1 GB.
_PIPE_BYTES_PER_S = Range(0.2e9, 0.7e9, 2e9)
_BIG_BATCH_BYTES = 5e6
# What sending a batch and receiving it take together, of what receiving takes: the sender copies it once less.
_SENT_AND_RECEIVED = Range(1.0, 1.75, 2.25)
# Keras starts the worker processes anew for every epoch: seconds. An assumption; forks of a process that holds torch.
_START_S = Range(0.5, 0.2, 0.05)
# Of calls that nothing disturbs a twentieth takes 0.6 to 0.97 of the mean call: below, something does (`timing.py`).
_DISTURBED_BELOW = 0.6
_IN_PROCESSES = (
    " Random numbers are then others; a generator of NumPy that the dataset holds is copied into every process, which "
    "then all draw the same: make it in `worker_init_fn`, from `torch.initial_seed()`."
)
_SHARED_OUT = (
    " An `IterableDataset` has to share its samples out by `torch.utils.data.get_worker_info()`: else every process "
    "yields all of them."
)
_SHARES_OUT = """
  def __iter__(self):
+     worker = torch.utils.data.get_worker_info()
+     first, every = (worker.id, worker.num_workers) if worker else (0, 1)
+     yield from itertools.islice(self.samples(), first, None, every)   # what it yielded until now"""
# From this share on it is the GIL that threads wait for.
_GIL_FROM = 0.5


@rule("IP01", "pydataset-serial", silences=("IP27",))
def pydataset_serial(
    adapter: str,
    data_kind: str,
    workers: int,
    input_share: float,
    wait_s: float,
    step_s: float,
    idle_cores: float,
    cores: float,
    others_compute: bool,
    source: Source,
    awake: float,
    steady: Steady,
    data: Data,
) -> Outcome:
    """Batches are made by one worker while the step waits for them.

    What it means: `PyDataset.__getitem__` runs in one thread, one batch after the other, and takes longer than a step.

    Why it is slow: `workers` defaults to 1, which means no workers at all. Keras then overlaps one batch with the step
    at best, however many cores the machine has.

    What to change: give the dataset workers. Its class must hand `**kwargs` on to `super().__init__`. Threads are
    enough where `__getitem__` waits for files or the network, or spends its time in libraries that release the GIL.

    When this is wrong: `__getitem__` is not thread-safe (an open HDF5 file). Where the cores are already busy, with the
    steps or with other programs, workers gain nothing, and the rule says so instead of speaking up. Where `__getitem__`
    draws random numbers, chance decides which worker draws which: no two runs train the same then.

    Sources: Keras, PyDataset; https://github.com/keras-team/keras/issues/17118. The prediction divides the measured
    time of a batch by the workers and lets all of them share the machine's cores; what of a batch holds the GIL, by
    samples, is not shared. Keras starts the workers anew for every epoch, which takes it 0.1 s and a batch or two.
    """
    if adapter != "PyDatasetAdapter":
        return NotApplicable("the data are no PyDataset")
    if workers > 1:
        return Passed(f"{workers} workers")
    if too_little := waits(input_share):
        return Passed(too_little)
    found = side_by_side(source, input_share, wait_s, step_s, idle_cores, cores, others_compute, awake, steady)
    if isinstance(found, Passed):
        return found
    note, changes_results = order_of_draws(data)
    return Found(
        title="Batches are made by one worker",
        message=f"`{source.name}` takes {words.seconds(source.wall_s / source.calls)} a batch, "
        f"{words.share(found.waiting)} of it waiting for files, the network or a lock. One worker makes them one after "
        f"the other, so the step waits {words.seconds(wait_s)} for each.",
        phase="input_wait",
        evidence=found.evidence,
        remedy=f"Let {found.count} workers make batches side by side. `{data_kind}.__init__` must hand `**kwargs` on "
        f"to `super().__init__`.{note}",
        code=f"- train = {data_kind}(...)\n"
        f"+ train = {data_kind}(..., workers={found.count}, max_queue_size={2 * found.count})",
        change=found.change,
        confidence="certain" if found.waiting >= 0.5 else "likely",
        bars={
            "making one batch": source.wall_s / source.calls,
            "the step without the wait": max(step_s - wait_s, 1e-4),
        },
        changes_results=changes_results,
    )


@rule("IP02", "gil-bound-workers", silences=("IP28",))
def gil_bound_workers(
    adapter: str,
    data_kind: str,
    workers: int,
    multiprocessing: bool,
    input_share: float,
    step_s: float,
    idle_cores: float,
    cores: float,
    source: Source,
    data: Data,
    restart_s: float,
) -> Outcome:
    """Threads make the batches, and take turns because of the GIL.

    What it means: the dataset has several workers, but what they compute is Python code, which only one thread at a
    time can run: the batches come as fast as one thread alone would make them.

    Why it is slow: Python's global interpreter lock. The workers also take it from the thread that trains, whose steps
    then take longer, so that it need not even wait for its batches.

    What to change: make the workers processes, with `use_multiprocessing=True`; or leave Python, with NumPy on whole
    batches.

    When this is wrong: there is no idle core that processes could use, or batches are so large that sending them from
    process to process costs more than making them. Forking a process in which TensorFlow or JAX run threads can hang:
    then `multiprocessing.set_start_method("spawn")` at the start of the program.

    Sources: https://github.com/keras-team/keras/issues/9531, https://github.com/keras-team/keras/issues/10340. Measured
    on two cores: 2.4 times faster on torch, 1.1 times on TensorFlow, where the model wants the cores itself. The
    prediction shares the measured CPU time of a batch between the cores that are idle now, and adds the time to copy
    it, at 0.2 to 2 GB a second, and to start the processes, for which every epoch waits 0.05 to 0.5 seconds.
    """
    if adapter != "PyDatasetAdapter" or workers < 2:
        return NotApplicable("batches are not made by workers")
    if multiprocessing:
        return Passed("the workers are processes")
    cpu_s = source.cpu_s / source.calls
    if cpu_s < 0.6 * step_s:
        return Passed(f"a batch takes {words.seconds(cpu_s)} on the CPU: nothing waits for the GIL")
    # Threads that hold the GIL also stop the thread that trains: then it computes slowly and need not wait for batches.
    held = source.gil_share
    if held is None and (too_little := waits(input_share)):
        return Passed(too_little)
    if held is not None and held < _GIL_FROM:
        return Passed(f"the GIL is held {words.share(held)} of the time")
    if idle_cores < 0.5:
        return Passed(f"{cores - idle_cores:.1f} of {cores:g} cores are busy already")
    count = max(2, min(workers, round(cores)))
    copy_s = [(data.batch_bytes or 0) / rate for rate in _ends(_PIPE_BYTES_PER_S)]
    shared = (1 + idle_cores / 2, 1 + idle_cores, max(1 + idle_cores, count))
    supply = Range(*(max(cpu_s / by, copy) for by, copy in zip(shared, copy_s, strict=True)))
    trains_s = max(step_s - cpu_s, 0.05 * step_s)  # what is left of a step in which one thread at a time computes
    return Found(
        title="Workers take turns because of the GIL",
        message=f"{workers} threads make batches, but `{source.name}` computes in Python, {words.seconds(cpu_s)} a "
        f"batch, and only one thread at a time can. A batch comes every {words.seconds(step_s)}.",
        phase="input_wait",
        evidence={
            "waiting for data": f"{words.share(input_share)} of training",
            **({"GIL held": f"{words.share(held)} of the time"} if held is not None else {}),
            "CPU time of a batch": words.seconds(cpu_s),
            "cores idle": f"{idle_cores:.1f} of {cores:g}",
        },
        remedy=f"Make the workers processes, as many as there are cores. `{data_kind}` must be picklable. If it draws "
        "random numbers, let `__getitem__` make its own `np.random.default_rng()`: all processes begin with one state.",
        code=f"- train = {data_kind}(..., workers={workers})\n"
        f"+ train = {data_kind}(..., workers={count}, use_multiprocessing=True)",
        change=Change(
            factors={"restart_s": Range(*(1 + start / max(1e-3, restart_s) for start in _ends(_START_S)))},
            sets={"supply_s": supply, "device_s": Range(3 * trains_s, 2 * trains_s, trains_s)},
        ),
        confidence="likely",
        changes_results="training",
    )


def _ends(values: Range) -> tuple[float, float, float]:
    return values.low, values.expected, values.high


@rule("IP03", "multiprocessing-copies-big-batches", silences=("IP28",))
def multiprocessing_copies(
    adapter: str,
    data_kind: str,
    workers: int,
    multiprocessing: bool,
    input_share: float,
    wait_s: float,
    step_s: float,
    batch_bytes: int,
    receive_s: float,
    backend: str,
    accelerators: tuple[str, ...],
    least_call_share: float,
    idle_cores: float,
) -> Outcome:
    """Worker processes spend their time on sending large batches.

    What it means: batches are made by processes (`use_multiprocessing=True`), are large, and the thread that receives
    them computes for much of every step.

    Why it is slow: every batch is pickled, sent through a pipe and unpickled by one thread of the process that trains.
    Threads would hand over a reference. On torch that thread takes the GIL and a core from the one that trains, so that
    steps take longer instead of waiting. It shows in how much their calls differ: the rule is silent where a twentieth
    of the calls takes 60 % of the mean call or more, or a core is idle.

    What to change: threads, `use_multiprocessing=False`; or smaller batches, such as images in `uint8` that the model
    rescales.

    When this is wrong: `__getitem__` computes a lot in Python, so that the processes gain more than the copies cost.

    Sources: https://github.com/keras-team/keras/issues/11727. Measured on two cores: 3.4 times faster with threads. The
    CPU time of receiving a batch is measured; what sending takes as well cannot be seen from here, and the prediction
    takes off 1 to 2.25 times of it, a tenth being left. Keras starts the processes anew for every epoch, 0.05 to 0.5
    seconds, which threads save.
    """
    if adapter != "PyDatasetAdapter" or not multiprocessing:
        return NotApplicable("batches are not made by processes")
    too_little = waits(input_share)
    alone = backend == "torch" and not accelerators  # there unpickling takes the GIL from computing instead
    if too_little and not (alone and idle_cores < 1 and least_call_share < _DISTURBED_BELOW):
        return Passed(too_little)
    if batch_bytes < _BIG_BATCH_BYTES or receive_s < 0.3 * step_s:
        return Passed(f"receiving a batch of {words.size(batch_bytes)} takes {words.seconds(receive_s)} of CPU time")
    left = Range(*(max(0.1, 1 - part * receive_s / step_s) for part in _ends(_SENT_AND_RECEIVED)))
    return Found(
        title="Large batches are copied between processes",
        message=f"Every batch, {words.size(batch_bytes)}, is pickled in a worker process, received and unpickled by "
        f"one thread here, which computes for {words.seconds(receive_s)} in the {words.seconds(step_s)} of a step. "
        f"The step waits {words.seconds(wait_s)} for it.",
        phase="input_wait",
        evidence={
            "waiting for data": f"{words.share(input_share)} of training",
            "a batch": words.size(batch_bytes),
            "receiving one": f"{words.seconds(receive_s)} of CPU time",
        },
        remedy="Let threads make the batches: they hand over a reference.",
        code=f"- train = {data_kind}(..., workers={workers}, use_multiprocessing=True)\n"
        f"+ train = {data_kind}(..., workers={workers})",
        change=Change(
            factors={"supply_s": left, **({"device_s": left} if alone else {})},
            removes={"restart_s": Range(_START_S.high, _START_S.expected, _START_S.low)},
        ),
        confidence="likely",
    )


@rule("IP04", "plain-generator")
def plain_generator(
    adapter: str,
    backend: str,
    awake: float,
    input_share: float,
    wait_s: float,
    step_s: float,
    idle_cores: float,
    cores: float,
    others_compute: bool,
    source: Source,
    steady: Steady,
    data: Data,
) -> Outcome:
    """A Python generator makes the batches, one after the other.

    What it means: `fit` was given a generator, and the step waits for its next batch.

    Why it is slow: a generator runs in one thread and cannot be asked for two batches at once, so nothing can make it
    parallel. On TensorFlow Keras makes batches ahead, in that one thread; on JAX and torch not even that.

    What to change: a `keras.utils.PyDataset` with `workers`: what the generator yields for one batch becomes
    `__getitem__`.

    When this is wrong: each batch depends on the one before it, as in a simulation. Where other programs use the cores,
    a batch may wait for a core as well, and the rule is silent. Where the generator draws random numbers, chance
    decides which worker draws which.

    Sources: https://github.com/rstudio/keras3/issues/355; Keras, PyDataset. Measured on two cores, for batches that
    wait for files: 3.9 to 6.4 times faster. The prediction divides the measured time of a batch by the workers and lets
    all of them share the machine's cores; what of a batch holds the GIL, by samples, is not shared.
    """
    if adapter != "GeneratorDataAdapter":
        return NotApplicable("the data are no generator")
    if too_little := waits(input_share):
        return Passed(too_little)
    found = side_by_side(source, input_share, wait_s, step_s, idle_cores, cores, others_compute, awake, steady)
    if isinstance(found, Passed):
        return found
    note, changes_results = order_of_draws(data)
    batches = data.steps_per_epoch or "n"
    ahead = "" if backend == "tensorflow" else " Nothing is made ahead while the step computes."
    return Found(
        title="A generator makes the batches, one after the other",
        message=f"The generator takes {words.seconds(source.wall_s / source.calls)} for a batch, "
        f"{words.share(found.waiting)} of it waiting, and cannot be made parallel: the step waits "
        f"{words.seconds(wait_s)} for each.{ahead}",
        phase="input_wait",
        evidence=found.evidence,
        remedy=f"Make it a `PyDataset`, whose batches {found.count} workers can make side by side.{note}",
        code=f"- model.fit(generator, steps_per_epoch={batches}, ...)\n"
        + code_of_pydataset(found.count, batches, "the generator yields for this batch"),
        change=found.change,
        confidence="certain" if found.waiting >= 0.5 else "likely",
        changes_results=changes_results,
    )


@rule("IP24", "torch-dataloader-defaults")
def dataloader_defaults(
    adapter: str,
    data: Data,
    input_share: float,
    wait_s: float,
    step_s: float,
    idle_cores: float,
    cores: float,
    others_compute: bool,
    source: Source,
    awake: float,
    steady: Steady,
    restart_s: float,
    accelerators: tuple[str, ...],
) -> Outcome:
    """A torch DataLoader works with its defaults: no workers, or new ones in every epoch.

    What it means: `num_workers` is 0, so that batches are made between two steps; or workers are started anew for every
    epoch, because `persistent_workers` is off.

    Why it is slow: without workers nothing is loaded while the step computes. Starting a worker means starting a
    process that imports torch and unpickles the dataset.

    What to change: `num_workers`, `persistent_workers=True`, and with a GPU `pin_memory=True`.

    When this is wrong: the data lie in memory and a batch is a slice; then workers cost more than they give. An
    `IterableDataset` has to share its samples out by `torch.utils.data.get_worker_info()`, or every worker yields all.
    The program must be guarded by `if __name__ == "__main__"` where processes are spawned, as on Windows and macOS. A
    generator of NumPy that the dataset holds is copied, so that all workers draw the same numbers from it.

    Sources: PyTorch, torch.utils.data; https://github.com/metatensor/metatrain/pull/1273. Measured on two cores: 2.1
    times faster with two workers, 4.7 times with persistent ones in epochs of 10 steps. The prediction divides the
    measured time of a batch by the workers and lets all of them share the machine's cores, or takes the start of the
    workers out of the boundary between epochs.
    """
    if adapter != "TorchDataLoaderAdapter":
        return NotApplicable("the data are no DataLoader")
    pinned = ", pin_memory=True" if accelerators and not data.pin_memory else ""
    if data.workers:
        epoch_s = restart_s + step_s * (data.batches_per_epoch or 1)
        if data.persistent_workers or restart_s < 0.1 * epoch_s:
            return Passed(f"{data.workers} workers; an epoch takes {words.seconds(restart_s)} to start")
        return Found(
            title="The workers are started anew in every epoch",
            message=f"Between two epochs {words.seconds(restart_s)} pass, {words.share(restart_s / epoch_s)} of an "
            f"epoch, in which {data.workers} worker processes end and new ones start.",
            phase="epoch_restart",
            evidence={
                "between two epochs": words.seconds(restart_s),
                "an epoch": words.seconds(epoch_s),
                "workers": str(data.workers),
            },
            remedy="Keep the workers from one epoch to the next.",
            code=f"- DataLoader(..., num_workers={data.workers})\n"
            f"+ DataLoader(..., num_workers={data.workers}, persistent_workers=True{pinned})",
            change=Change(factors={"restart_s": Range(0.6, 0.15, 0.03)}),
        )
    if too_little := waits(input_share):
        return Passed(too_little)
    found = side_by_side(
        source, input_share, wait_s, step_s, idle_cores, cores, others_compute, awake, steady, processes=True
    )
    if isinstance(found, Passed):
        return found
    iterated = data.options.get("samples") == "iterated"
    # Also shared out, they come in another order.
    changes_results: ChangesResults = "training" if iterated else order_of_draws(data)[1]
    return Found(
        title="The DataLoader has no workers",
        message=f"`{source.name}` takes {words.seconds(source.wall_s / source.calls)} for a batch, in the thread that "
        f"trains: the step waits {words.seconds(wait_s)} for each.",
        phase="input_wait",
        evidence=found.evidence,
        remedy=f"Let {found.count} processes make batches while the step computes, and keep them between epochs."
        + _IN_PROCESSES * bool(data.options.get("random"))
        + _SHARED_OUT * iterated,
        code=f"- DataLoader(...)\n+ DataLoader(..., num_workers={found.count}, persistent_workers=True{pinned})"
        + _SHARES_OUT * iterated,
        change=found.change,
        confidence="certain" if found.waiting >= 0.5 else "likely",
        changes_results=changes_results,
    )


RULES = (pydataset_serial, gil_bound_workers, multiprocessing_copies, plain_generator, dataloader_defaults)
