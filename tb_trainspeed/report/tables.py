"""Rows of the panel's tables: what belongs together, joined. Every number is of the profile."""

import dataclasses
import re
from collections.abc import Mapping, Sequence
from typing import Any

from tb_trainspeed.profile import Profile, Source, Stage, StageTime, Usage
from tb_trainspeed.rules import words
from tb_trainspeed.rules.facts import generated, sampled_layers, steady_of
from tb_trainspeed.rules.input_pipeline.shared import SPEAK_FROM
from tb_trainspeed.whatif import StepModel

_AUTOTUNE = -1
# A stage that nobody wrote is shown if it takes more than this share of the slowest one.
_NEGLIGIBLE = 0.01
# Fewer buckets of the speed of a core than this are single samples, which differ by what else runs on it.
_LEAST_BUCKETS = 8

_MEANINGS = {
    "startup": "From the call of fit to the first step: building the model, wrapping the data, the first iterator.",
    "compilation": "Tracing and compiling: what a step took longer than an ordinary one because of it.",
    "input_wait": "The step waits for its batch. Loading that hides behind computing costs nothing and is not in here.",
    "transfer": "Copying batches to the device, where computing does not hide it.",
    "compute": "Forward and backward pass, loss and metrics.",
    "optimizer": "Updating the weights.",
    "collectives": "Exchanging gradients with other devices, where computing does not hide it.",
    "host_overhead": "Keras and the backend at work in Python while the device idles.",
    "callbacks": "Hooks of callbacks, which make the training loop wait.",
    "checkpointing": "Hooks of callbacks that save the model or its state.",
    "validation": "From the last training step to the end of the evaluation inside fit, its callbacks included.",
    "epoch_restart": "Between two epochs: a new iterator, the first batch's extra wait, tearing the old one down.",
    "gc": "Python's garbage collector stops the thread that trains.",
    "trainspeed": "The cost of measuring.",
    "other": "The remainder that no clock explains.",
}
#: What cannot be told apart is part of another phase.
INSIDE = {
    "transfer": "compute",
    "optimizer": "compute",
    "collectives": "compute",
    "host_overhead": "compute",
    "input_wait": "compute",
}


def called(phase: str) -> str:
    """What a phase is called where it is shown."""
    return {"gc": "gc pauses", "trainspeed": "TrainSpeed"}.get(phase, phase.replace("_", " "))


def meanings(phases: Mapping[str, float | None]) -> dict[str, str]:
    """Returns what each phase is, in a sentence or two that hold for this fit."""
    texts = dict(_MEANINGS)
    inside: dict[str, list[str]] = {}
    for name, host in INSIDE.items():
        if name in phases and phases[name] is None:
            inside.setdefault(host, []).append(called(name))
    for host, names in inside.items():
        texts[host] += f" What was not told apart is in here too: {', '.join(names)}."
    return {name: texts[name] for name in phases if name in texts}


def layers(profile: Profile) -> list[dict[str, Any]]:
    """Returns a row a layer: static facts, and times where deep samples were taken.

    `path` is the layer's place in nested models, outermost first; `share` is of all layers together. What a layer of
    Keras is made of counts as its own time.
    """
    times = sampled_layers(profile)
    whole = sum(forward_s + backward_s for forward_s, backward_s in times.values())
    rows = []
    for layer in profile.model.layers:
        facts = {
            "path": layer.path or layer.name,
            "kind": layer.kind,
            "parameters": layer.parameters,
            "trainable_parameters": layer.trainable_parameters,
            "output_shape": layer.output_shape,
            "flops": layer.forward_flops,
        }
        rows.append({**facts, **_times(times.pop(layer.path or layer.name, None), whole)})
    blank = dict.fromkeys(("kind", "parameters", "trainable_parameters", "output_shape", "flops"))
    rows += [{"path": path, **blank, **_times(time, whole)} for path, time in times.items()]
    return rows


def _times(time: tuple[float, float] | None, whole: float) -> dict[str, float | None]:
    if time is None:
        return {"forward_s": None, "backward_s": None, "share": None}
    return {"forward_s": time[0], "backward_s": time[1], "share": sum(time) / whole if whole else None}


def pipeline(profile: Profile, model: StepModel | None) -> list[dict[str, Any]]:
    """Returns the way of a batch from its source to the step, a node each.

    `time_s` is a batch's, `element_s` an element's where a batch has several; `parallelism` is a number or `auto`.
    The `bottleneck` is marked where the times tell which node sets the pace.
    """
    written, added = _stages(profile)
    nodes = [*_source(profile), *written]
    step = [_node("training step", "step", model.busy_s(), facts=["without the wait for its batch"])] if model else []
    slowest_s = max((node["time_s"] or 0.0 for node in [*nodes, *added, *step]), default=0.0)
    nodes += [node for node in added if (node["time_s"] or 0.0) > _NEGLIGIBLE * slowest_s]
    if not nodes:
        return []
    nodes += step
    _mark(nodes, profile)
    return nodes


def _node(title: str, role: str, time_s: float | None = None, **more: Any) -> dict[str, Any]:
    empty: dict[str, Any] = {"element_s": None, "parallelism": None, "buffer": None, "fill": None, "facts": []}
    return {"title": title, "role": role, "time_s": time_s, **empty, **more, "bottleneck": False}


def _source(profile: Profile) -> list[dict[str, Any]]:
    data = profile.data
    nodes = []
    workers = data.workers or 1
    if data.source and data.source.calls:
        source = data.source
        cpu = f"{words.seconds(source.cpu_s / source.calls)} of it on the CPU"
        spots = [f"{words.share(spot.share)} in {spot.callee or spot.function}" for spot in source.hot_spots[:1]]
        nodes.append(
            _node(source.name, "source", source.wall_s / source.calls, parallelism=workers, facts=[cpu, *spots])
        )
    elif data.adapter == "PyDatasetAdapter":
        nodes.append(_node(f"{data.kind}.__getitem__", "source", parallelism=workers))
    if data.adapter == "PyDatasetAdapter" and workers > 1 and data.max_queue_size:
        nodes.append(_node("queue", "queue", buffer=data.max_queue_size))
    return nodes


def _kind(name: str) -> str:
    return re.sub(r"V\d+$", "", name.partition(" #")[0].removesuffix("Dataset"))


def _stages(profile: Profile) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Stages as they were written, with the times of those that ran, those that tf.data fused as one; and those added.

    Keras hands what Python makes on to tf.data through a generator, whose time is that of the source: it is left out.
    """
    left = list(profile.breakdown.stages if profile.breakdown else ())
    nodes: list[dict[str, Any]] = []
    fused: dict[str, list[Stage]] = {}
    for stage in profile.data.stages:
        kind = "Generator" if "GeneratorDataset" in stage.operations else _kind(stage.kind)
        time = next((other for other in left if _kind(other.name) == kind), None)
        both = next((other for other in left if not time and _is_part(stage.kind, other.name)), None)
        if time:
            left.remove(time)
        if both:
            fused.setdefault(both.name, []).append(stage)
        elif kind == "Generator":
            del nodes[-1:]  # the one element that TensorFlow starts it from
            nodes.append(_generator(stage, time, generated(profile)))
        else:
            nodes.append(_stage(kind, [stage], time))
        if both and len(fused[both.name]) == 1:
            nodes.append({"fused": both})
    made = [
        _stage(_kind(node["fused"].name), fused[node["fused"].name], node["fused"]) if "fused" in node else node
        for node in nodes
    ]
    added = [time for time in left if time.name not in fused]
    if profile.data.source:
        added = [time for time in added if _kind(time.name) != "Generator"]
    return made, [_stage(_kind(time.name), [], time) for time in added]


def _generator(stage: Stage, time: StageTime | None, own: Source | None) -> dict[str, Any]:
    """A generator of the user's, which TensorFlow has in a `flat_map`; its time is at least what its own code takes."""
    node = _stage("Generator", [dataclasses.replace(stage, function=own.name if own else None)], time)
    if not own:
        return node
    own_s, elements = own.wall_s / own.calls, stage.elements_per_batch or 1.0
    time_s = max(own_s, node["time_s"] or 0.0)
    said = "its own code only" if not time else f"{words.seconds(own_s / elements)} an element in its own code"
    facts = [*node["facts"], said]
    return {**node, "time_s": time_s, "element_s": time_s / elements if elements > 1 else None, "facts": facts}


def _is_part(kind: str, name: str) -> bool:
    """Whether a stage such as `ParallelMap` is in one such as `MapAndBatch`."""
    return "And" in name and _kind(kind).removeprefix("Parallel") in _kind(name).removeprefix("Parallel").split("And")


def _stage(title: str, written: Sequence[Stage], time: StageTime | None) -> dict[str, Any]:
    """One node of so many stages as they were written; of none where tf.data added it."""
    first = written[0] if written else None
    elements = first.elements_per_batch if first else time.calls if time else None
    parallel = (time.parallelism if time else None) or next((s.parallelism for s in written if s.parallelism), None)
    buffer = next((stage.buffer for stage in written if stage.buffer is not None), None)
    facts = [stage.function for stage in written if stage.function]
    facts += [f"{stage.batch_size} elements" for stage in written if stage.batch_size]
    if not written:
        facts.append("added by tf.data")
    busy_s = time.busy_s if time else None
    return _node(
        title,
        "stage",
        busy_s,
        element_s=busy_s / elements if busy_s is not None and elements and elements > 1 else None,
        parallelism="auto" if parallel == _AUTOTUNE else parallel,
        buffer="auto" if buffer == _AUTOTUNE else buffer,
        fill=time.buffer_fill if time else None,
        facts=facts,
    )


def _mark(nodes: list[dict[str, Any]], profile: Profile) -> None:
    """What takes longest for a batch sets the pace; waiting says on which side of the step that is."""
    steady = steady_of(profile)
    wait_s = steady.phases.get("input_wait") if steady else None
    if steady is None or wait_s is None:
        return
    starved = wait_s >= SPEAK_FROM * steady.epoch_s * steady.epochs
    side = [node for node in nodes if (node["role"] != "step") == starved and node["time_s"] is not None]
    if side:
        slowest = max(side, key=lambda node: node["time_s"] / _ways(node["parallelism"]))
        slowest["bottleneck"] = True


def _ways(parallelism: Any) -> int:
    return parallelism if isinstance(parallelism, int) and parallelism > 0 else 1


def usage(profile: Profile) -> list[dict[str, Any]]:
    """Returns what was used over time, a chart each: lines of equally long buckets from the start of the fit on.

    `unit` is `cores`, `bytes`, `bytes_per_s` or `share`; `limit` what there is of it, `None` where that is not known;
    `most` of a line its highest value.
    """
    machine, resources = profile.environment, profile.resources
    cpu = {"process_cores": "this process", "worker_cores": "its workers", "machine_cores": "whole machine"}
    memory = {"rss_bytes": "this process", "memory_available_bytes": "still free"}
    traffic = {
        "disk_read_bytes_per_s": "read",
        "disk_write_bytes_per_s": "written",
        "network_in_bytes_per_s": "received",
        "network_out_bytes_per_s": "sent",
    }
    charts = [
        _chart("CPU", "cores", machine.machine_cores or machine.cores, resources.usage, cpu),
        _chart("core speed", "share", 1.0, _core_speed(resources.usage), {"speed": "of its best here"}),
        _chart("memory", "bytes", machine.memory_bytes, resources.usage, memory),
        _chart("disk and network", "bytes_per_s", None, resources.usage, traffic),
    ]
    for device in resources.accelerators:
        busy = {"utilization": "computing", "memory_utilization": "memory traffic"}
        name = f"{device.name} {device.index}" if len(resources.accelerators) > 1 else device.name
        charts.append(_chart(name, "share", 1.0, device.usage, busy))
        held = {"memory_bytes": "in use"}
        charts.append(_chart(f"memory of {name}", "bytes", device.memory_bytes, device.usage, held))
    return [chart for chart in charts if chart["lines"]]


def _core_speed(used: Usage) -> Usage:
    """How fast the cores were, by the same small work, as shares of the fastest bucket; of a few nothing is told."""
    works = used.columns.get("core_work_s", ())
    known = [work_s for work_s in works if work_s]
    if len(known) < _LEAST_BUCKETS:
        return Usage()
    return Usage(used.bucket_s, {"speed": tuple(min(known) / work_s if work_s else None for work_s in works)})


def _chart(title: str, unit: str, limit: float | None, used: Usage, names: Mapping[str, str]) -> dict[str, Any]:
    lines = []
    for column, name in names.items():
        values = used.columns.get(column, ())
        most = max((value for value in values if value is not None), default=None)
        if most:
            lines.append({"name": name, "values": list(values), "most": most})
    return {"title": title, "unit": unit, "limit": limit, "bucket_s": used.bucket_s, "lines": lines}
