"""On torch the batch is fetched between two steps."""

import time

import numpy as np
import pytest
import torch

from tb_trainspeed import TrainSpeedCallback

EPOCHS, STEPS, BATCH = 3, 10, 8


class Slow(torch.utils.data.Dataset):
    def __len__(self):
        return STEPS * BATCH

    def __getitem__(self, index):
        time.sleep(0.002)
        return np.ones(4, "float32"), np.ones(1, "float32")


@pytest.mark.parametrize("workers", [0, 1])
def test_a_slow_loader_is_waited_for(workers, make_model):
    callback = TrainSpeedCallback(None, verbose=0)
    data = torch.utils.data.DataLoader(Slow(), batch_size=BATCH, num_workers=workers)
    make_model().fit(data, epochs=EPOCHS, verbose=0, shuffle=False, callbacks=[callback])
    profile = callback.report.profile
    phases = profile.ledger.phases
    made_s = 0.002 * BATCH * STEPS * EPOCHS
    # The first wait of an epoch is partly the start of its workers.
    assert phases["input_wait"] + phases["epoch_restart"] >= 0.9 * made_s
    assert phases["input_wait"] >= 0.7 * made_s
    assert (profile.data.adapter, profile.data.batch_size) == ("TorchDataLoaderAdapter", BATCH)
    assert profile.environment.devices[0].kind in ("CPU", "GPU")
