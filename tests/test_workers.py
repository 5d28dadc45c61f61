"""Two real processes that train together and write into one log directory are one fit, each a worker of its own."""

import contextlib
import os
import socket
import subprocess
import sys

from tb_trainspeed.report import workers_of
from tb_trainspeed.summary import join_workers, place_of, read_log

# Keras averages the gradients on JAX. The batches of the second process are late.
_ON_JAX = """
import sys
import time

import jax

address, rank, log_dir = sys.argv[1], int(sys.argv[2]), sys.argv[3]
jax.config.update("jax_platforms", "cpu")
jax.config.update("jax_cpu_collectives_implementation", "gloo")
jax.distributed.initialize(address, 2, rank)

import keras
import numpy as np

from tb_trainspeed import TrainSpeedCallback


class Batches(keras.utils.PyDataset):
    def __len__(self):
        return 20

    def __getitem__(self, index):
        time.sleep(0.1 * rank)
        return np.zeros((8, 4), "float32"), np.zeros((8, 1), "float32")


devices = [f"cpu:{device.id}" for device in jax.devices()]
keras.distribution.set_distribution(keras.distribution.DataParallel(devices=devices, auto_shard_dataset=False))
keras.utils.set_random_seed(0)
model = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(1)])
model.compile("sgd", "mse")
model.fit(Batches(), epochs=3, verbose=0, callbacks=[TrainSpeedCallback(log_dir, max_overhead=1.0, verbose=0)])
"""
# On torch the model does.
_ON_TORCH = """
import sys

import torch.distributed as dist

dist.init_process_group("gloo", init_method=f"tcp://{sys.argv[1]}", rank=int(sys.argv[2]), world_size=2)

import keras
import numpy as np

from tb_trainspeed import TrainSpeedCallback


class Together(keras.Sequential):
    def train_step(self, data):
        logs = super().train_step(data)
        for variable in self.trainable_variables:
            dist.all_reduce(variable.value.data)
            variable.value.data /= 2
        return logs


keras.utils.set_random_seed(0)
model = Together([keras.layers.Input((4,)), keras.layers.Dense(1)])
model.compile("sgd", "mse")
x = np.zeros((160, 4), "float32")
model.fit(x, x[:, :1], batch_size=8, epochs=3, verbose=0, callbacks=[TrainSpeedCallback(sys.argv[3], verbose=0)])
dist.destroy_process_group()
"""


def _started(stack, environment, code, *arguments):
    """A process that is over, killed if need be, when `stack` is closed."""
    process = stack.enter_context(
        subprocess.Popen(
            [sys.executable, "-c", code, *arguments],
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
    )
    stack.callback(process.kill)
    return process


def train(backend, code, log_dir):
    """The profiles of two processes that ran the code, which gets an address, their number, and the log directory."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        port = server.getsockname()[1]
    environment = {**os.environ, "KERAS_BACKEND": backend}
    with contextlib.ExitStack() as both:
        processes = [
            _started(both, environment, code, f"127.0.0.1:{port}", str(rank), str(log_dir)) for rank in range(2)
        ]
        for process in processes:
            _, said = process.communicate(timeout=300)
            assert process.returncode == 0, said
    log = read_log(log_dir)
    assert log.problems == ()
    (workers,) = join_workers(log.fits, lambda fit: place_of(fit.run, fit.profile))
    profiles = [fit.profile for fit in workers]
    assert [profile.worker for profile in profiles] == [0, 1]
    assert len({profile.fit_id for profile in profiles}) == 2
    return profiles


def test_on_jax_the_one_that_others_wait_for_is_named(tmp_path):
    profiles = train("jax", _ON_JAX, tmp_path)
    for profile in profiles:
        assert (profile.environment.distribution, profile.environment.replicas) == ("DataParallel", 2)
    joined = workers_of(profiles)
    assert [row["steps"] for row in joined["workers"]] == [60, 60]
    assert joined["waiting_measured"] is True
    assert [row["straggler"] for row in joined["workers"]] == [False, True]
    waits, late = (row["phases"] for row in joined["workers"])
    assert max(waits, key=lambda name: waits[name] or 0.0) == "collectives"
    assert max(late, key=lambda name: late[name] or 0.0) == "input_wait"


def test_on_torch_nobody_is_accused(tmp_path):
    """Each step waits for the other process, and nothing tells whose fault it is."""
    profiles = train("torch", _ON_TORCH, tmp_path)
    for profile in profiles:
        assert (profile.environment.distribution, profile.environment.replicas) == ("torch.distributed", 2)
        assert profile.ledger.phases["collectives"] is None
        assert "not told from computing" in profile.not_measured["collectives"]
    joined = workers_of(profiles)
    assert [row["steps"] for row in joined["workers"]] == [60, 60]
    assert all(seconds is not None for row in joined["own"] for seconds in row)
    assert joined["waiting_measured"] is False
    assert not any(row["straggler"] for row in joined["workers"])
