"""Two real processes that train together and write into one log directory are one fit, each a worker of its own."""

import os
import socket
import subprocess
import sys

from tb_trainspeed.report import diagnose, workers_of
from tb_trainspeed.summary import join_workers, place_of, read_log

# Each of them averages its gradients with those of the other, after every step.
_TRAIN = """
import sys

import torch
import torch.distributed as dist

dist.init_process_group("gloo", init_method=sys.argv[1], rank=int(sys.argv[2]), world_size=2)

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


def free_port():
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return server.getsockname()[1]


def test_two_processes_are_one_fit(tmp_path):
    address = f"tcp://127.0.0.1:{free_port()}"
    environment = {**os.environ, "KERAS_BACKEND": "torch"}
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", _TRAIN, address, str(rank), str(tmp_path)],
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    for process in processes:
        _, said = process.communicate(timeout=300)
        assert process.returncode == 0, said
    log = read_log(tmp_path)
    assert log.problems == ()
    (workers,) = join_workers(log.fits, lambda fit: place_of(fit.run, fit.profile))
    profiles = [fit.profile for fit in workers]
    assert [profile.worker for profile in profiles] == [0, 1]
    assert len({profile.fit_id for profile in profiles}) == 2
    for profile in profiles:
        assert (profile.environment.distribution, profile.environment.replicas) == ("torch.distributed", 2)
        assert profile.ledger.phases["collectives"] is None
        assert "not told from computing" in profile.not_measured["collectives"]
    joined = workers_of(profiles)
    assert [row["steps"] for row in joined["workers"]] == [60, 60]
    assert joined["last_step"] == 60
    assert all(seconds is not None for row in joined["own"] for seconds in row)
    # Each step waits for the other process, and nobody can tell whose fault it is.
    assert joined["waiting_measured"] is False
    assert not any(row["straggler"] for row in joined["workers"])
    assert diagnose(profiles[0]).verdict
