"""The panel's tables: layers with their times, the pipeline with its bottleneck, phases with a meaning."""

import dataclasses

import pytest

from tb_trainspeed import whatif
from tb_trainspeed.profile import (
    PHASES,
    Accelerator,
    Breakdown,
    Data,
    Environment,
    Layer,
    LayerTime,
    Ledger,
    Model,
    Profile,
    Resources,
    Source,
    Stage,
    StageTime,
    Steps,
    Usage,
)
from tb_trainspeed.report import tables

BUSY = {"compute": 2.0, "input_wait": 0.0}
PROFILE = Profile(ledger=Ledger(2.0, 100, 1, BUSY), steady=Ledger(2.0, 100, 1, BUSY), steps=Steps(100))
STARVED = {"compute": 1.0, "input_wait": 1.0}


def test_every_phase_has_a_meaning():
    assert set(tables.meanings(dict.fromkeys(PHASES, 1.0))) == set(PHASES)


def test_a_phase_says_what_could_not_be_told_apart_from_it():
    texts = tables.meanings({"compute": 1.0, "optimizer": None, "host_overhead": None, "transfer": 0.1})
    assert texts["compute"].endswith("What was not told apart is in here too: optimizer, host overhead.")
    assert "told apart" not in tables.meanings({"compute": 1.0, "optimizer": 1.0})["compute"]


def layers(paths, times):
    model = Model(layers=tuple(Layer(path.rpartition("/")[2], "Dense", 10, 10, path=path) for path in paths))
    breakdown = Breakdown(layers=tuple(LayerTime(path, *seconds) for path, seconds in times.items()))
    rows = tables.layers(Profile(model=model, breakdown=breakdown if times else None))
    return {row["path"]: (row["parameters"], row["share"]) for row in rows}


def test_layers_without_deep_samples_have_no_times():
    assert layers(["a"], {}) == {"a": (10, None)}


def test_layers_are_joined_with_their_times_by_their_place_in_the_model():
    times = {"a": (1.0, 2.0), "inner/b": (0.5, 0.5), "other/b": (0.0, 0.0), "c": (1.0, 0)}
    rows = layers(["a", "inner", "inner/b", "other", "other/b"], times)
    assert rows == {
        "a": (10, 0.6),
        "inner": (10, None),
        "inner/b": (10, 0.2),
        "other": (10, None),
        "other/b": (10, 0.0),
        "c": (None, 0.2),
    }


def test_what_a_layer_is_made_of_counts_as_its_time():
    assert layers(["lstm", "a"], {"lstm/cell": (1.0, 1.0), "lstm": (1.0, 0.0), "a": (1.0, 0.0)}) == {
        "lstm": (10, 0.75),
        "a": (10, 0.25),
    }


def test_records_without_paths_are_joined_by_name():
    model = Model(layers=(Layer("a", "Dense", 1, 1),))
    (row,) = tables.layers(Profile(model=model, breakdown=Breakdown(layers=(LayerTime("a", 1.0, 2.0),))))
    assert (row["path"], row["forward_s"], row["backward_s"]) == ("a", 1.0, 2.0)


def pipeline(data, stages=(), phases=BUSY):
    ledger = Ledger(2.0, 100, 1, phases)
    breakdown = Breakdown(stages=stages) if stages else None
    profile = dataclasses.replace(PROFILE, ledger=ledger, steady=ledger, data=data, breakdown=breakdown)
    return tables.pipeline(profile, whatif.baseline(profile))


def marked(nodes):
    return [node["title"] for node in nodes if node["bottleneck"]]


def test_python_that_makes_batches_is_a_source_and_sets_the_pace_of_a_step_that_waits():
    data = Data("PyDatasetAdapter", "Photos", workers=1, source=Source("Photos.__getitem__", 10, 0.5, 0.1))
    nodes = pipeline(data, phases=STARVED)
    assert [node["title"] for node in nodes] == ["Photos.__getitem__", "training step"]
    assert nodes[0]["time_s"] == pytest.approx(0.05)
    assert nodes[1]["time_s"] == pytest.approx(0.01)
    assert marked(nodes) == ["Photos.__getitem__"]
    assert marked(pipeline(data)) == ["training step"]


def test_the_stage_that_runs_the_source_does_not_take_its_time_again():
    data = Data("PyDatasetAdapter", "Photos", workers=1, source=Source("Photos.__getitem__", 10, 0.5, 0.1))
    nodes = pipeline(data, (StageTime("Generator", 0.06, 1.0),), STARVED)
    assert [node["title"] for node in nodes] == ["Photos.__getitem__", "training step"]
    assert marked(nodes) == ["Photos.__getitem__"]


GENERATED = (
    Stage("Tensor", elements_per_batch=32.0),
    Stage("FlatMap", function="flat_map_fn", operations=("GeneratorDataset", "PyFunc"), elements_per_batch=32.0),
    Stage("Batch", batch_size=32, elements_per_batch=1.0),
)
SAMPLES = Source("samples", 1000, 0.5, 0.4)


@pytest.mark.parametrize(
    ("times", "generator", "time_s", "facts"),
    [
        ((StageTime("Generator", 0.024, 32.0),), SAMPLES, 0.024, ["samples", "500 µs an element in its own code"]),
        ((), SAMPLES, 0.016, ["samples", "its own code only"]),  # no sample tells: at least that
        ((), None, None, []),
    ],
)
def test_a_generator_in_tf_data_is_told_by_its_name_and_what_its_own_code_takes(times, generator, time_s, facts):
    nodes = pipeline(Data(stages=GENERATED, generator=generator), times, STARVED)
    assert [node["title"] for node in nodes] == ["Generator", "Batch", "training step"]
    assert (nodes[0]["time_s"], nodes[0]["facts"]) == (time_s and pytest.approx(time_s), facts)


def test_workers_have_a_queue():
    nodes = pipeline(Data("PyDatasetAdapter", "Photos", workers=4, max_queue_size=10))
    assert [(node["role"], node["parallelism"], node["buffer"]) for node in nodes[:2]] == [
        ("source", 4, None),
        ("queue", None, 10),
    ]


WRITTEN = (
    Stage("TensorSlice", elements_per_batch=32.0),
    Stage("ParallelMap", parallelism=-1, function="augment", elements_per_batch=32.0),
    Stage("Batch", batch_size=32, elements_per_batch=1.0),
    Stage("Prefetch", buffer=2, elements_per_batch=1.0),
)


def test_stages_of_tf_data_get_their_times_whatever_the_version_of_their_kind():
    times = (
        StageTime("TensorSlice", 1e-4, 32.0),
        StageTime("ParallelMapV2", 0.04, 32.0, 4),
        StageTime("BatchV2", 0.02, 1),
    )
    nodes = pipeline(Data(stages=WRITTEN), times, STARVED)
    assert [node["title"] for node in nodes] == ["TensorSlice", "ParallelMap", "Batch", "Prefetch", "training step"]
    assert nodes[1]["element_s"] == pytest.approx(0.04 / 32)
    assert (nodes[1]["parallelism"], nodes[3]["buffer"], nodes[3]["time_s"]) == (4, 2, None)
    # Four maps run side by side, so a batch is handed on every 10 ms.
    assert marked(nodes) == ["Batch"]


def test_stages_that_tf_data_fused_are_one_and_those_it_added_come_last():
    times = (
        StageTime("TensorSlice", 1e-4, 32.0),
        StageTime("ParallelMapAndBatch", 0.04, 1.0, 2),
        StageTime("Extra", 0.01, 1),
        StageTime("Negligible", 1e-5, 1),
    )
    nodes = pipeline(Data(stages=WRITTEN), times, STARVED)
    assert [node["title"] for node in nodes] == [
        "TensorSlice",
        "ParallelMapAndBatch",
        "Prefetch",
        "Extra",
        "training step",
    ]
    assert nodes[1]["facts"] == ["augment", "32 elements"]
    assert nodes[3]["facts"] == ["added by tf.data"]


def test_stages_without_times_mark_nothing_while_the_step_waits():
    nodes = pipeline(Data(stages=WRITTEN), phases=STARVED)
    assert nodes[1]["parallelism"] == "auto"
    assert marked(nodes) == []


def test_arrays_have_no_pipeline():
    assert pipeline(Data("ArrayDataAdapter")) == []


def test_what_was_used_over_time_and_of_how_much():
    columns = {"process_cores": (1.0, None, 1.5), "worker_cores": (0.0, 0.0, 0.0), "rss_bytes": (1e9, 2e9, 2e9)}
    gpu = Accelerator(0, "H100", 80_000, usage=Usage(4.0, {"utilization": (0.5,), "memory_bytes": (7e4,)}))
    profile = Profile(
        environment=Environment(cores=2.0, memory_bytes=8_000_000_000),
        resources=Resources(usage=Usage(2.0, columns), accelerators=(gpu,)),
    )
    charts = tables.usage(profile)
    assert [(chart["title"], chart["unit"], chart["limit"], chart["bucket_s"]) for chart in charts] == [
        ("CPU", "cores", 2.0, 2.0),
        ("memory", "bytes", 8e9, 2.0),
        ("H100", "share", 1.0, 4.0),
        ("memory of H100", "bytes", 80_000, 4.0),
    ]
    assert charts[0]["lines"] == [{"name": "this process", "values": [1.0, None, 1.5], "most": 1.5}]


def test_the_speed_of_a_core_is_that_of_its_best():
    works = (2e-4, 1e-4, None, 2e-4, 1e-4, 1e-4, 1e-4, 1e-4, 1e-4)
    used = Resources(usage=Usage(4.0, {"core_work_s": works}))
    (chart,) = tables.usage(Profile(resources=used))
    assert (chart["title"], chart["unit"], chart["limit"], chart["bucket_s"]) == ("core speed", "share", 1.0, 4.0)
    assert chart["lines"][0]["values"] == [0.5, 1.0, None, 0.5, 1.0, 1.0, 1.0, 1.0, 1.0]


def test_of_a_few_samples_no_speed_is_told():
    used = Resources(usage=Usage(2.0, {"core_work_s": (2e-4, *(1e-4,) * 6)}))
    assert tables.usage(Profile(resources=used)) == []


def test_nothing_sampled_is_no_chart():
    assert tables.usage(Profile()) == []
