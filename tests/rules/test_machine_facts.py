"""Facts of the machine: which accelerators a fit computes on, and over how many devices it goes."""

import dataclasses

import pytest

from tb_trainspeed.profile import (
    Accelerator,
    Data,
    Device,
    Environment,
    Layer,
    Ledger,
    Model,
    Profile,
    Resources,
    Steps,
    Usage,
)
from tb_trainspeed.rules.callbacks import validation
from tb_trainspeed.rules.distribution import devices, replicas
from tb_trainspeed.rules.facts import FACTS, REACHED_FLOPS
from tb_trainspeed.rules.framework import eager
from tb_trainspeed.rules.hardware import accelerator
from tb_trainspeed.rules.model_compute import batch
from tb_trainspeed.rules.rule import Range
from tests.rules import callbacks, distribution, framework, hardware, model_compute


def profile_of(*cards, spread=("", 1), once_s=0.0):
    """A fit that goes over some devices of a machine with these cards: utilization, and processes beside it."""
    accelerators = tuple(
        Accelerator(index, "H100", other_processes=others, usage=Usage(2.0, {"utilization": levels}))
        for index, (levels, others) in enumerate(cards)
    )
    return Profile(
        environment=Environment(distribution=spread[0] or None, replicas=spread[1]),
        ledger=Ledger(20.0, 100, 2, {"startup": once_s / 2, "compilation": once_s / 2}),
        resources=Resources(accelerators=accelerators),
    )


def used(*cards, **options):
    return [one.index for one in FACTS["used_accelerators"](profile_of(*cards, **options))]


OURS, IDLE, THEIRS, SHARED = ((0.6,), 0), ((0.04,), 0), ((0.9,), None), ((0.95,), 1)


@pytest.mark.parametrize(
    ("cards", "spread", "found"),
    [
        ((OURS,), 1, [0]),
        ((THEIRS, OURS), 1, [1]),  # the driver saw us on one only
        ((THEIRS, THEIRS), 1, [0, 1]),  # in a container it numbers us otherwise
        ((IDLE, OURS), 1, [1]),  # TensorFlow holds memory on both
        ((IDLE, IDLE), 1, []),
        ((OURS, SHARED), 1, [0]),  # on the second it is the other that computes
        ((OURS, SHARED), 2, [0, 1]),
        ((IDLE, SHARED), 1, [1]),
        ((((), 0), ((), 1)), 1, [0]),  # how busy they are is not told
    ],
)
def test_the_accelerators_a_fit_computes_on(cards, spread, found):
    assert used(*cards, spread=("MirroredStrategy", spread)) == found


def test_how_busy_they_are_without_start_up_and_compilation():
    level = FACTS["utilization"]
    starting = ((0.0, 0.0, 0.1, 0.6, None, 0.8), 0)
    assert level(profile_of(starting, once_s=5.0)) == pytest.approx(0.7)  # the third bucket holds a part of it
    assert level(profile_of(starting)) == pytest.approx(0.3)
    assert level(profile_of(starting, once_s=60.0)) is None
    assert level(profile_of()) is None
    assert level(profile_of(IDLE, THEIRS)) == pytest.approx(0.04)  # no rule takes that of somebody else
    assert level(profile_of(OURS, SHARED)) == pytest.approx(0.6)


def test_a_process_beside_ours_is_a_hint_unless_the_driver_says_that_it_computes():
    told = accelerator.gpu_shared(**hardware.HW03)
    assert (told.confidence, told.change.factors["device_s"]) == ("likely", Range(1.0, 0.8, 0.6))
    facts = {**hardware.HW03, "used_accelerators": hardware.card(other_processes=1)}
    untold = accelerator.gpu_shared(**facts)
    assert (untold.confidence, untold.change.factors["device_s"]) == ("hint", Range(1.0, 0.75, 0.5))


def test_the_clock_is_that_of_a_gpu_that_computes():
    hot = Accelerator(
        1,
        "T4",
        clock_limit_hz=1.6e9,
        usage=Usage(2.0, {"utilization": (0.9, 0.9, 0.5, None, 0.6), "clock_hz": (0.1e9, 1.0e9, 0.3e9, 0.2e9, 1.2e9)}),
    )
    cards = (hot, dataclasses.replace(hot, index=2, clock_limit_hz=None), dataclasses.replace(hot, usage=Usage()))
    started = Ledger(20.0, 100, 2, {"startup": 1.0, "compilation": 0.5})
    found = FACTS["clock_shares"](Profile(ledger=started, resources=Resources(accelerators=cards)))
    assert found == {1: pytest.approx(1.1 / 1.6)}


def test_a_clock_that_is_held_down_at_times_costs_no_more_than_these():
    def left(part, clock):
        facts = {"used_accelerators": hardware.card(throttled={"software_thermal": part}), "clock_shares": clock}
        return accelerator.gpu_throttled(**{**hardware.HW04, **facts}).change.factors["device_s"]

    assert left(0.2, {0: 0.57}) == Range(1.0, pytest.approx(1 - 0.2 * 0.43), pytest.approx(0.8))
    assert left(1.0, {0: 0.3}) == Range(1.0, pytest.approx(0.3), pytest.approx(0.3))
    assert left(0.2, {0: 0.98}) == Range(1.0, pytest.approx(0.996), pytest.approx(0.98))
    assert left(0.2, {}) == Range(1.0, pytest.approx(0.95), pytest.approx(0.9))


def test_a_mesh_is_more_devices_than_replicas_where_they_share_the_model():
    count = FACTS["mesh_devices"]
    assert count(profile_of(spread=("ModelParallel (2, 4)", 2))) == 8
    assert count(profile_of(spread=("DataParallel", 4))) == 4
    assert count(profile_of(spread=("", 1))) == 1
    assert count(Profile()) is None


@pytest.mark.parametrize(
    ("capabilities", "policy"),
    [(("7.5",), "mixed_float16"), (("8.0",), "mixed_bfloat16"), (("9.0", "7.0"), "mixed_float16"),
     ((None,), "mixed_bfloat16"), (("gfx90a",), "mixed_bfloat16"), (("gfx90a", "7.0"), "mixed_float16")],
)  # fmt: skip
def test_the_policy_of_16_bits_is_that_of_the_oldest_gpu(capabilities, policy):
    found = tuple(Device("GPU", "gpu", capability=capability) for capability in capabilities)
    assert FACTS["mixed_policy"](Profile(environment=Environment(devices=found))) == policy
    assert policy in devices.model_fills_memory(**{**distribution.DS10, "mixed_policy": policy}).code


def reached(*capabilities, kind="GPU"):
    found = tuple(Device(kind, "device", capability=capability) for capability in capabilities)
    return FACTS["accelerator_flops"](Profile(environment=Environment(devices=found)))


def test_what_a_training_reaches_on_an_accelerator():
    assert reached() == reached(None, kind="CPU") == ()
    assert reached("7.5") == reached("8.0", "7.0") == reached("gfx90a") == reached(None, kind="TPU") == REACHED_FLOPS
    assert reached("8.0") == reached("9.0", "8.6") == (2e12, 6.5e12, 21e12)


def test_on_a_gpu_arithmetic_takes_as_long_as_gpus_need():
    resnet = {"sample_flops": 23e9, "batch_size": 32, "compute_s": 0.3, "dispatch_s": 0.25}
    for rule, facts in ((eager.eager, framework.FW01), (eager.layer_disables_jit, framework.FW06)):
        left = rule(**{**facts, **resnet, "accelerator_flops": reached("8.0")}).change.sets["dispatch_s"]
        assert left.low == 0.25
        assert left.expected == pytest.approx(23e9 * 32 / 6.5e12, abs=0.0011)
    few = {"sample_flops": 1e9, "accelerator_flops": reached("8.0")}
    timed = {"compute_s": 0.03, "step_s": 0.03, "overhead_s": 0.01}
    growth = batch.tiny_batch(**{**model_compute.MC00, **few, **timed}).change.factors["device_s"]
    assert growth.expected == pytest.approx(1 + 7 * 8 * 1e9 / 6.5e12 / 0.02, rel=0.01)
    small = dataclasses.replace(callbacks.CB06["validation"], batch_size=32)
    convolution = Layer("conv", "Conv2D", 9, 9, forward_flops=1_000_000_000)
    facts = {**callbacks.CB06, "validation": small, "layers": (convolution,)}
    assert "validation_batch_size" not in validation.validation_dominates(**facts).code
    assert (
        "validation_batch_size"
        in validation.validation_dominates(**{**facts, "accelerator_flops": reached("8.0")}).code
    )


def bound(backend, flops, dispatch_s=None):
    """Whether dispatch is most of a step of 10 ms with 100 samples of so many operations."""
    profile = Profile(
        environment=Environment(backend=backend, devices=(Device("CPU", "cpu"),)),
        model=Model(layers=(Layer("dense", "Dense", 9, 9, forward_flops=flops),)),
        data=Data(batch_size=100),
        ledger=Ledger(2.0, 100, 1, {"compute": 1.0, "epoch_restart": 1.0}),
        steps=Steps(count=100, dispatch_s=dispatch_s),
    )
    return FACTS["dispatch_bound"](profile)


def test_whether_dispatch_is_most_of_a_step():
    assert bound("tensorflow", 0, 0.0049) is False
    assert bound("tensorflow", 0, 0.0051) is True
    assert bound("tensorflow", 0) is None
    assert bound("torch", 200_000) is True  # 4 ms at 15 GFLOP/s
    assert bound("torch", 300_000) is False
    assert bound("torch", None) is False
    assert FACTS["dispatch_bound"](Profile(environment=Environment(backend="torch"))) is None


def test_a_container_gets_the_gpu_and_another_machine_the_package():
    def code(*found, backend="torch"):
        return accelerator.gpu_not_used(**{**hardware.HW01, "environment": hardware.unused(backend, found)})

    assert "docker run --gpus all" in code(hardware.NOT_GIVEN).code
    assert code(hardware.NOT_GIVEN).confidence == "hint"
    assert "download.pytorch.org/whl/cu" in code(hardware.T4).code
    both = code(hardware.NOT_GIVEN, hardware.T4)
    assert "download.pytorch.org/whl/cu" in both.code
    assert "has Tesla T4" in both.message


def test_a_step_on_a_gpu_that_is_not_used_is_never_shorter_than_steps_on_gpus_are():
    def left(computing_s):
        return accelerator.gpu_not_used(**{**hardware.HW01, "computing_s": computing_s}).change.sets["device_s"]

    assert left(0.101) == Range(pytest.approx(0.05), pytest.approx(0.01), pytest.approx(0.002))
    assert left(0.005) == Range(pytest.approx(0.005), pytest.approx(0.002), pytest.approx(0.00008))


def test_the_code_without_a_strategy_is_that_of_its_backend():
    for backend, code in (("tensorflow", "strategy.scope"), ("jax", "keras.distribution"), ("torch", "torch.")):
        assert code in replicas.strategy_on_one_device(**{**distribution.DS02, "backend": backend}).code
        small = {**distribution.DS01, "backend": backend, "batch_size": 31}
        if backend != "torch":  # whose processes may be on several machines
            assert code in replicas.multi_device_slower(**{**small, "accelerators": ()}).code
        assert replicas.multi_device_slower(**small).code == "- batch_size=31\n+ batch_size=124"


def test_how_loaded_the_devices_are_may_not_be_known():
    of = {
        load: replicas.multi_device_slower(**{**distribution.DS01, "load": load}) for load in ((0.5, 0.1), (0.5, None))
    }
    assert [found.confidence for found in of.values()] == ["likely", "hint"]
    assert FACTS["load"](profile_of(OURS)) == (pytest.approx(0.6), None)


def test_what_is_exchanged_is_told_by_the_step():
    found = replicas.all_reduce_bound(**distribution.DS04)
    assert "50 % of a step of 100 ms" in found.message
    assert found.evidence["exchanging"] == "40 % of training"
    assert found.change.removes["device_s"].high == pytest.approx(0.75 * 0.05)


def test_only_jax_divides_a_model_that_is_not_divided_yet():
    def code(**changed):
        return devices.model_fills_memory(**{**distribution.DS10, "accelerators": ("GPU",) * 4, **changed}).code

    assert "DeviceMesh((1, 4)" in code()
    assert "DeviceMesh((1, 4)" in code(replicas=4, mesh_devices=4)
    for other in ({"mesh_devices": 4}, {"backend": "tensorflow"}):
        assert "ModelParallel" not in code(**other)


def test_a_larger_batch_takes_its_source_as_much_longer():
    for found, larger in (
        (replicas.multi_device_slower(**distribution.DS01), 4),
        (devices.idle_accelerators(**distribution.DS09), 4),
        (devices.model_fills_memory(**distribution.DS10), 4),
        (accelerator.batch_headroom(**hardware.HW10), 2),
    ):
        factors = found.change.factors
        assert factors["source_cpu_s"].expected == factors["cpu_s"].expected == factors["supply_s"].low == larger
        assert factors["steps"].expected == 1 / larger


@pytest.mark.parametrize(
    ("usage", "others", "idle"),
    [
        ({"machine_cores": 1.4, "process_cores": 1.0}, 0.4, 1.0),  # little: what the system itself does
        ({"machine_cores": 2.0, "process_cores": 1.0}, 1.0, 0.0),
        ({"machine_cores": 2.0, "process_cores": 1.0, "worker_cores": 0.9}, 0.1, 1.0),
        ({"machine_cores": 0.9, "process_cores": 1.0}, 0.0, 1.0),  # clocks that differ
        ({"process_cores": 1.0}, None, 1.0),
    ],
)
def test_cores_that_others_use_are_not_idle(usage, others, idle):
    profile = Profile(
        environment=Environment("tensorflow", cores=2.0, machine_cores=2),
        ledger=Ledger(2.0, 100, 1, {"compute": 2.0}),
        steps=Steps(count=100, cpu_s=0.02),
        resources=hardware.using(**usage),
    )
    assert FACTS["others_cores"](profile) == (None if others is None else pytest.approx(others))
    assert FACTS["others_compute"](profile) == ((others or 0.0) > 0.5)
    assert not FACTS["others_compute"](dataclasses.replace(profile, resources=hardware.using(machine_cores=1.6)))
    assert FACTS["idle_cores"](profile) == pytest.approx(idle)


def test_neighbours_of_a_container_leave_it_its_cores():
    profile = Profile(
        environment=Environment("tensorflow", cores=2.0, machine_cores=64),
        ledger=Ledger(2.0, 100, 1, {"compute": 2.0}),
        steps=Steps(count=100, cpu_s=0.02),
    )
    for used, idle in ((40.0, 1.0), (64.0, 0.0)):
        resources = hardware.using(machine_cores=used, process_cores=1.0)
        assert FACTS["idle_cores"](dataclasses.replace(profile, resources=resources)) == pytest.approx(idle)
