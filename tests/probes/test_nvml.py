"""NVIDIA's accelerators, on a driver that is made up: no machine of these tests has one."""

import os
import sys
from types import ModuleType, SimpleNamespace

import pytest

from tb_trainspeed.probes.nvml import Cards

GIB = 2**30


class NVMLError(Exception):
    pass


class Driver(ModuleType):
    """pynvml as far as it is used; `state` is what the card does, and what it does not tell is not in there."""

    NVMLError = NVMLError
    NVML_CLOCK_SM, NVML_TEMPERATURE_GPU = 1, 0

    def __init__(self, states):
        super().__init__("pynvml")
        self.states, self.users = states, 0

    def nvmlInit(self):  # noqa: N802
        self.users += 1

    def nvmlShutdown(self):  # noqa: N802
        self.users -= 1

    def nvmlDeviceGetCount(self):  # noqa: N802
        return len(self.states)

    def nvmlDeviceGetHandleByIndex(self, index):  # noqa: N802
        return self.states[index]

    def __getattr__(self, name):
        if not name.startswith("nvmlDeviceGet"):
            raise AttributeError(name)

        def ask(state, *arguments):
            if name not in state:
                raise NVMLError("Not Supported")
            return state[name]

        return ask


def card(**changes):
    return {
        "nvmlDeviceGetName": b"NVIDIA H100",
        "nvmlDeviceGetMemoryInfo": SimpleNamespace(total=80 * GIB, used=30 * GIB),
        "nvmlDeviceGetEnforcedPowerLimit": 700_000,
        "nvmlDeviceGetMaxClockInfo": 1980,
        "nvmlDeviceGetUtilizationRates": SimpleNamespace(gpu=40, memory=10),
        "nvmlDeviceGetPowerUsage": 350_000,
        "nvmlDeviceGetClockInfo": 1000,
        "nvmlDeviceGetTemperature": 61,
        "nvmlDeviceGetCurrentClocksEventReasons": 0x04 | 0x01,
        "nvmlDeviceGetComputeRunningProcesses": [SimpleNamespace(pid=os.getpid()), SimpleNamespace(pid=3)],
        **changes,
    }


@pytest.fixture
def driver(monkeypatch):
    for variable in ("CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER"):
        monkeypatch.delenv(variable, raising=False)

    def make(*states):
        made = Driver(states)
        monkeypatch.setitem(sys.modules, "pynvml", made)
        return made

    return make


def test_a_card(driver):
    made = driver(card())
    cards = Cards()
    cards.sample(0.5, ())
    made.states[0].update(
        nvmlDeviceGetUtilizationRates=SimpleNamespace(gpu=100, memory=30),
        nvmlDeviceGetMemoryInfo=SimpleNamespace(total=80 * GIB, used=20 * GIB),
        nvmlDeviceGetCurrentClocksEventReasons=0x40,
    )
    cards.sample(1.5, ())
    cards.close()
    (found,) = cards.facts()
    assert (found.index, found.name, found.memory_bytes) == (0, "NVIDIA H100", 80 * GIB)
    assert (found.power_limit_w, found.clock_limit_hz, found.other_processes) == (700.0, 1.98e9, 1)
    assert found.throttled == {
        "power_cap": 0.5, "hardware": 0.0, "software_thermal": 0.0, "hardware_thermal": 0.5, "hardware_power": 0.0,
    }  # fmt: skip
    columns = {name: column[0] for name, column in found.usage.columns.items()}
    assert columns == {
        "utilization": pytest.approx(0.7), "memory_utilization": pytest.approx(0.2), "memory_bytes": 30 * GIB,
        "power_w": 350.0, "clock_hz": 1e9, "temperature_c": 61,
    }  # fmt: skip
    assert made.users == 0


def test_an_idle_card_is_zero_and_what_it_does_not_tell_is_none(driver):
    silent = card(nvmlDeviceGetUtilizationRates=SimpleNamespace(gpu=0, memory=0), nvmlDeviceGetPowerUsage=0)
    for name in ("ClockInfo", "Temperature", "EnforcedPowerLimit", "CurrentClocksEventReasons", "MemoryInfo"):
        del silent[f"nvmlDeviceGet{name}"]
    driver(silent)
    cards = Cards()
    cards.sample(0.5, ())
    (found,) = cards.facts()
    assert found.usage.columns == {"utilization": (0.0,), "memory_utilization": (0.0,), "power_w": (0.0,)}
    assert (found.power_limit_w, found.memory_bytes, found.throttled) == (None, None, {})


def test_older_drivers_name_the_reasons_otherwise(driver):
    old = card(nvmlDeviceGetCurrentClocksThrottleReasons=0x08)
    del old["nvmlDeviceGetCurrentClocksEventReasons"]
    driver(old)
    cards = Cards()
    cards.sample(0.5, ())
    assert cards.facts()[0].throttled["hardware"] == 1.0


@pytest.mark.parametrize(
    ("pids", "children", "others"),
    [([os.getpid()], [], 0), ([os.getpid(), 7, 8], [8], 1), ([7], [], None), ([], [], None)],
)
def test_processes_beside_ours(driver, pids, children, others):
    driver(card(nvmlDeviceGetComputeRunningProcesses=[SimpleNamespace(pid=pid) for pid in pids]))
    cards = Cards()
    cards.sample(0.5, children)
    assert cards.facts()[0].other_processes == others


def using(**percent):
    return [SimpleNamespace(pid=int(name[1:]), timeStamp=9, smUtil=used) for name, used in percent.items()]


def test_a_process_that_holds_memory_only_does_not_count_where_that_is_told(driver):
    pids = [SimpleNamespace(pid=pid) for pid in (os.getpid(), 7, 8, 9)]
    made = driver(card(nvmlDeviceGetComputeRunningProcesses=pids))
    cards = Cards()
    cards.sample(0.5, [9])
    assert cards.facts()[0].other_processes == 2  # not told yet
    for used in (using(p7=5, p9=60, p10=80), using(p7=0, p8=40, p9=60)):  # the tenth draws the screen
        made.states[0]["nvmlDeviceGetProcessUtilization"] = used
        cards.sample(1.5, [9])
    (found,) = cards.facts()
    assert found.other_processes == 1
    assert found.usage.columns["others_utilization"] == (pytest.approx(0.2),)


@pytest.mark.parametrize(
    ("visible", "order", "names", "found"),
    [
        (None, None, "AAB", [0, 1, 2]),
        ("", None, "AAA", []),
        ("-1", None, "AAA", []),
        ("2, 0", None, "AAA", [0, 2]),
        ("0,-1,1", None, "AAA", [0]),  # what follows one that is none is not there
        ("1,7", None, "AAA", [1]),
        ("1", "PCI_BUS_ID", "AAB", [1]),
        ("1", None, "AAB", [0, 1, 2]),  # which of them CUDA counts first is not told
        ("GPU-2f,GPU-0", None, "AAB", [0, 2]),
        ("GPU-9", None, "AAB", []),
        ("MIG-GPU-2f/1/0", None, "AAA", [0, 1, 2]),
    ],
)
def test_only_devices_that_this_process_may_use_count(driver, monkeypatch, visible, order, names, found):
    uuids = [b"GPU-0a", "GPU-1e", b"GPU-2f"]
    driver(*(card(nvmlDeviceGetName=name, nvmlDeviceGetUUID=uuid) for name, uuid in zip(names, uuids, strict=True)))
    for variable, value in (("CUDA_VISIBLE_DEVICES", visible), ("CUDA_DEVICE_ORDER", order)):
        if value is not None:
            monkeypatch.setenv(variable, value)
    assert [one.index for one in Cards().facts()] == found


def test_a_driver_that_names_no_device_leaves_all(driver, monkeypatch):
    driver(card(), card())
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-0a")
    assert [one.index for one in Cards().facts()] == [0, 1]


def test_a_driver_that_fails_is_let_go(driver):
    made = driver(card())
    del made.states[0]["nvmlDeviceGetName"]
    with pytest.raises(NVMLError):
        Cards()
    assert made.users == 0
