"""Writes traces/<backend>-<mode>.pb.gz: what the profiler saw of a deep sample, cut down to the fields that are read.

KERAS_BACKEND=tensorflow python -m tests.golden.make_traces graph xla
KERAS_BACKEND=jax python -m tests.golden.make_traces xla
"""

import gzip
import pathlib
import sys

import keras
import numpy as np

from tb_trainspeed import TrainSpeedCallback
from tb_trainspeed.probes.profiler import Profiler
from tb_trainspeed.probes.xspace_pb2 import HloProto, XLine, XPlane, XSpace

FOLDER = pathlib.Path(__file__).parent / "traces"
STEPS = 3


def make_trace(mode):
    """Trains a small model and returns the last deep sample of it."""
    keras.backend.clear_session()
    inputs = keras.Input((3, 4))
    hidden = keras.layers.LSTM(2, name="rnn")(inputs)
    block = keras.Sequential([keras.layers.Dense(8, "relu", name="d1"), keras.layers.Dense(4, name="d2")], name="block")
    model = keras.Model(inputs, keras.layers.Dense(1, name="head")(block(hidden)), name="small")
    model.compile("sgd", "mse", jit_compile=mode == "xla")
    seen = []
    decode = Profiler.decode
    Profiler.decode = lambda self, data, steps: (seen.append((data, steps)), decode(self, data, steps))[1]
    x, y = np.zeros((64, 3, 4), "float32"), np.zeros((64, 1), "float32")
    model.fit(x, y, batch_size=4, epochs=3, verbose=0, callbacks=[TrainSpeedCallback(None, 1.0, verbose=0)])
    return next(data for data, steps in reversed(seen) if steps == STEPS)


def cut(data):
    """Drops fields, planes, modules and lines that are not read, and where things were on this machine."""
    space = XSpace()
    for plane in map(XPlane.FromString, XSpace.FromString(data).planes):
        lines = [line for line in map(XLine.FromString, plane.lines) if line.events]
        for number, event in list(plane.event_metadata.items()):
            if plane.name.endswith(b"metadata") and not any(
                word in event.name for word in (b"train_step", b"one_step")
            ):
                del plane.event_metadata[number]
        kept = {number for number, stat in plane.stat_metadata.items() if stat.name not in (b"_src", b"types")}
        for event in [event for line in lines for event in line.events]:
            stats = [stat for stat in event.stats if stat.metadata_id in kept]
            del event.stats[:]
            event.stats.extend(stats)
        del plane.lines[:]
        for line in lines:
            line.DiscardUnknownFields()
            plane.lines.append(line.SerializeToString(deterministic=True))
        for event in plane.event_metadata.values():
            for stat in event.stats:
                if stat.bytes_value:
                    module = HloProto.FromString(stat.bytes_value)
                    module.DiscardUnknownFields()
                    stat.bytes_value = module.SerializeToString(deterministic=True)
        plane.DiscardUnknownFields()
        space.planes.append(plane.SerializeToString(deterministic=True))
    return space.SerializeToString(deterministic=True)


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for mode in sys.argv[1:]:
        path = FOLDER / f"{keras.backend.backend()}-{mode}.pb.gz"
        path.write_bytes(gzip.compress(cut(make_trace(mode)), 9, mtime=0))
        print(path, path.stat().st_size)
