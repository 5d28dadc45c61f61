"""What the rules of the input pipeline propose and say it gives, where the table of outcomes does not show it."""

import dataclasses

import numpy as np
import pytest

from tb_trainspeed.profile import Data, HotSpot, Ledger, Profile, Quantiles, Source, Steps
from tb_trainspeed.rules import transfer
from tb_trainspeed.rules.facts import FACTS
from tb_trainspeed.rules.input_pipeline import decoding, epoch, files, generators, workers
from tb_trainspeed.rules.input_pipeline.shared import batches_of_arrays, fit_of_batches, recurring
from tests.rules.input_pipeline import (
    AUGMENT,
    BATCH,
    BATCH32,
    CACHE,
    DRAWS_SAMPLES,
    FROM_AFAR,
    FROM_DIRECTORY,
    GENERATOR,
    IP01,
    IP03,
    IP04,
    IP05,
    IP09,
    IP09_TF,
    IP10,
    IP14,
    IP15,
    IP24,
    IP27,
    IP29,
    JPEGS,
    LOADER,
    PASSES,
    PATHS,
    SHUFFLE,
)
from tests.rules.transfer import TR02, TR03, copies


def test_what_a_cache_keeps_does_not_recur():
    stages = (PATHS, CACHE, JPEGS, CACHE, SHUFFLE, BATCH32)
    assert recurring(stages, 2) == (SHUFFLE, BATCH32)
    assert recurring(stages, 1) == stages
    assert recurring((PATHS, JPEGS), 2) == (PATHS, JPEGS)


def test_a_cache_is_bounded_where_a_pass_may_be_longer_than_an_epoch():
    assert "@functools.lru_cache(maxsize=3200)" in decoding.redecode_each_epoch(**{**IP09, **PASSES}).code
    assert "@functools.cache\n" in decoding.redecode_each_epoch(**IP09).code


def test_what_a_comprehension_reads_gets_a_function_of_its_own():
    spot = HotSpot("A.__getitem__.<locals>.<listcomp>", "train.py", 7, "load", "numpy", 0.8, False)
    found = decoding.redecode_each_epoch(**{**IP09, "hot_spots": (spot,)})
    assert "def load(" in found.code
    assert "function of its own" in found.remedy


def test_what_a_comprehension_of_the_loading_function_does_is_kept_with_the_rest():
    spots = [
        HotSpot(f"load{comprehension}", "data.py", 7, "load", "pickle", 0.3, False)
        for comprehension in ("", ".<locals>.<listcomp>", ".<locals>.<genexpr>.<locals>.<genexpr>")
    ]
    for one in (spots, spots[:1]):
        change = decoding.redecode_each_epoch(**{**IP09, "hot_spots": tuple(one)}).change
        assert change.factors["supply_s"].expected == pytest.approx(1 - 0.3 * len(one))


def test_what_a_generator_itself_takes_of_a_sample_is_not_handing_over():
    timed, untimed, slow = (
        generators.generator_per_sample(**{**IP05, "step_s": 0.2048, "data": Data(generator=generator)}).change
        for generator in (Source("samples", 1000, 0.09, 0.04), None, Source("samples", 1000, 0.25, 0.04))
    )
    assert timed.factors["supply_s"].expected == pytest.approx(
        0.1
    )  # short ones wait for the lock, not for anything else
    assert untimed.factors["supply_s"].expected == pytest.approx(0.06)
    assert slow.factors["supply_s"].expected == pytest.approx(0.25 / 0.4)


def test_a_slow_generator_is_kept_where_it_is_the_same_and_gets_workers_elsewhere():
    kept, drawn = (generators.slow_generator(**{**IP29, **FROM_AFAR, "data": data}) for data in (Data(), DRAWS_SAMPLES))
    assert "from_generator(samples, ...).cache()" in kept.code
    assert not kept.change.first_epoch
    assert kept.change.sets["supply_s"].expected == pytest.approx(32 * 2 * 7e-6 + 1e6 / 6e9, rel=0.5)
    assert "workers=" in drawn.code
    assert drawn.change.first_epoch
    assert drawn.changes_results == "training"


def test_a_batch_of_a_generator_takes_what_its_elements_take():
    generator = Source("samples", 10, 0.1, 0.05)
    stages = (GENERATOR, BATCH)
    of_batch = FACTS["generated"](Profile(data=Data(generator=generator, stages=stages)))
    assert (of_batch.wall_s / of_batch.calls, of_batch.cpu_s / of_batch.calls) == pytest.approx((5.12, 2.56))
    assert FACTS["generated"](Profile(data=Data(stages=stages))) is None
    assert FACTS["generated"](Profile(data=Data(generator=generator))) is None


@pytest.mark.parametrize(("done", "code"), [("", "ratio=8)"), ("/2", "ratio=2)\n+"), ("/8", "resize((64, 64))")])
def test_a_jpeg_is_decoded_at_less_than_it_is(done, code):
    decoding = dataclasses.replace(JPEGS, operations=(f"DecodeJpeg{done}", "ResizeBilinear"))
    found = files.oversized_images(**{**IP10, "stages": (PATHS, decoding, BATCH32)})
    assert code in found.code


def test_what_is_skipped_takes_no_longer_than_in_training():
    few = dataclasses.replace(IP15["stages"][2], count=480)
    found = epoch.skip_after_heavy_work(**{**IP15, "stages": (PATHS, JPEGS, few, SHUFFLE, BATCH32)})
    assert found.change.removes["restart_s"].expected == pytest.approx(0.88 * 480 * 2.0 / 3200)
    assert epoch.skip_after_heavy_work(**IP15).change.removes["restart_s"].expected == pytest.approx(0.88 * 0.4)


def test_what_processes_take_from_torch_is_taken_off_once():
    torch = workers.multiprocessing_copies(**{**IP03, "backend": "torch"})
    assert torch.change.factors["device_s"].expected == pytest.approx(1 - 1.75 * 0.016 / 0.04)
    assert set(torch.change.removes) == {"restart_s"}
    assert "device_s" not in workers.multiprocessing_copies(**IP03).change.factors


def test_the_calls_that_are_disturbed_least():
    call = Quantiles(100, 0.01, 0.003, 0.01, 0.01, 0.01, 0.01)
    assert FACTS["least_call_share"](Profile(steps=Steps(count=100, call=call))) == pytest.approx(0.3)
    assert FACTS["least_call_share"](Profile()) is None


@pytest.mark.parametrize(
    ("batch", "share"),
    [
        ("float32(64, 16), float32(64, 20, 5000)", 0.5),
        ("float32(64, 5000), int64(64, 5000)", 0.05),
        ("float32(None, 16), float32(None, 5000), float32(None)", 0.025),
        (None, 0.025),
    ],
)
def test_the_bytes_of_the_targets(batch, share):
    data = dataclasses.replace(TR02["data"], batch=batch)
    found = transfer.one_hot_huge_classes(**{**TR02, "data": data, "batch_bytes": 64 * 20 * 5000 * 8})
    assert found.change.factors["supply_s"].high == pytest.approx(1 - share)


def test_no_more_is_saved_of_copies_than_is_not_hidden():
    free = transfer.float32_images(**TR03).change.removes["device_s"]
    assert free.expected == pytest.approx(0.75 * 40e6 / 12e9)
    bound = transfer.float32_images(**{**TR03, "steady": copies(0.1)}).change.removes["device_s"]
    assert (bound.low, bound.expected) == (pytest.approx(0.75 * 40e6 / 25e9), pytest.approx(0.002))


ORDERS = [({}, set()), ({"shuffle": "False"}, {"order", "batches"}), ({"shuffle": "batch"}, {"batches"})]


@pytest.mark.parametrize(("options", "kept"), ORDERS, ids=["shuffled", "in order", "within batches"])
def test_a_dataset_of_arrays_has_the_order_that_fit_had(options, kept):
    tf = pytest.importorskip("tensorflow")
    tf.random.set_seed(0)
    names = {"tf": tf, "x": np.arange(64), "y": np.arange(64)}
    exec(batches_of_arrays(16, options).replace("+ ", ""), names)
    taken = [x.numpy() for x, y in names["dataset"] if np.array_equal(x, y)]
    assert sorted(np.concatenate(taken)) == list(range(64))
    assert (sorted(taken[0]) == list(range(16))) == ("batches" in kept)
    assert (list(taken[0]) == list(range(16))) == ("order" in kept)


def test_a_dataset_of_arrays_leaves_out_what_fit_left_out():
    tf = pytest.importorskip("tensorflow")
    names = {"tf": tf, "x": np.arange(70), "y": np.arange(70)}
    exec(batches_of_arrays(16, {"validation_split": "0.3"}).replace("+ ", ""), names)
    assert sorted(np.concatenate([x.numpy() for x, _ in names["dataset"]])) == list(range(49))
    assert names["x_val"].tolist() == names["y_val"].tolist() == list(range(49, 70))
    assert fit_of_batches({"validation_split": "0.3"}) == "dataset, validation_data=(x_val, y_val)"
    assert fit_of_batches({}) == "dataset"


DRAWN = {"random": "Photos.__getitem__"}


@pytest.mark.parametrize(("options", "result"), [({}, "no"), (DRAWN, "training")], ids=["nothing", "random numbers"])
@pytest.mark.parametrize(
    ("rule", "facts"),
    [(workers.pydataset_serial, IP01), (workers.dataloader_defaults, IP24), (epoch.autotuner_holds_up_epochs, LOADER)],
    ids=["IP01", "IP24", "IP27"],
)
def test_workers_that_share_what_is_drawn_change_training(rule, facts, options, result):
    found = rule(**{**facts, "data": dataclasses.replace(facts["data"], options=options)})
    assert found.changes_results == result
    assert ("andom numbers" in found.remedy) == (result == "training")


def test_an_iterable_dataset_has_to_share_its_samples_out():
    data = dataclasses.replace(IP24["data"], options={"samples": "iterated"})
    said = [workers.dataloader_defaults(**{**IP24, "data": given}).remedy for given in (data, IP24["data"])]
    assert ["get_worker_info" in remedy for remedy in said] == [True, False]


def test_a_dataset_of_arrays_keeps_their_weights():
    data = dataclasses.replace(IP27["data"], options={"sample_weight": "True"})
    found = epoch.autotuner_holds_up_epochs(**{**IP27, "adapter": "ArrayDataAdapter", "stages": (), "data": data})
    assert "tf.gather(sample_weight, rows)" in found.code
    assert "- model.fit(x, y, sample_weight=sample_weight, ...)" in found.code
    assert "Weights of classes" in found.remedy


def test_workers_of_a_generator_that_draws_at_random_change_the_training():
    plain = workers.plain_generator(**IP04)
    draws = Data(steps_per_epoch=125, options={"random": "pairs"})
    drawn = workers.plain_generator(**{**IP04, "data": draws})
    assert (plain.changes_results, drawn.changes_results) == ("no", "training")
    assert "return 125" in drawn.code


def test_what_is_kept_is_said_in_words_of_its_kind():
    directory = Data(options={"loaded_by": FROM_DIRECTORY})
    named = dataclasses.replace(JPEGS, function="<lambda>")
    of_keras = decoding.redecode_each_epoch(**{**IP09_TF, "data": directory, "stages": (PATHS, named, BATCH32)})
    assert of_keras.code.endswith("(..., batch_size=None).cache()\n+ dataset = dataset.shuffle(3200).batch(32)")
    own = decoding.redecode_each_epoch(**{**IP09_TF, "data": directory})  # a function of the user's beside it
    assert "map(load" in own.code
    text = dataclasses.replace(JPEGS, operations=("StringSplitV2",))
    assert "text is split" in decoding.redecode_each_epoch(**{**IP09_TF, "stages": (PATHS, text, BATCH32)}).title
    filled = {"held_up_share": 0.02, "restart_s": 0.4, "stages": (PATHS, JPEGS, SHUFFLE, BATCH32)}
    assert "Filling the shuffle buffer" in decoding.redecode_each_epoch(**{**IP09_TF, **filled}).message


def test_workers_of_an_iterable_share_its_samples_out():
    data = Data(workers=0, batches_per_epoch=10, options={"samples": "iterated"})
    found = workers.dataloader_defaults(**{**IP24, "data": data})
    assert found.changes_results == "training"
    assert "get_worker_info" in found.code
    assert "get_worker_info" not in workers.dataloader_defaults(**IP24).code


def test_all_maps_before_a_shuffle_stay():
    found = epoch.shuffle_after_decode(**{**IP14, "stages": (PATHS, JPEGS, AUGMENT, SHUFFLE, BATCH32)})
    parallel = "num_parallel_calls=tf.data.AUTOTUNE"
    assert found.code == (
        "- dataset.map(load).map(augment).shuffle(1000)\n"
        f"+ dataset.shuffle(1000).map(load, {parallel}).map(augment, {parallel})"
    )


def test_records_in_files_have_as_many_batches_as_epochs_that_ended_with_them():
    steady = Ledger(10.0, 100, 4, {"compute": 10.0})
    data = Data("TFDatasetAdapter", batch_bytes=1000)
    profile = Profile(data=data, ledger=Ledger(20.0, 125, 5, {"compute": 20.0}), steady=steady)
    assert (FACTS["batches_per_epoch"](profile), FACTS["epoch_bytes"](profile)) == (25, 25_000)
    for unknown in ({"steady": None}, {"data": dataclasses.replace(data, steps_per_epoch=25)}):
        assert FACTS["batches_per_epoch"](dataclasses.replace(profile, **unknown)) is None
