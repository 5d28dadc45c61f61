"""Beside a TensorFlow fit."""

import subprocess
import sys
import textwrap


def test_no_iterator_waits_for_the_garbage_collector():
    """Its end joins a thread that may sleep for up to a minute, in the middle of whatever runs then."""
    script = """
        import gc
        import keras, numpy as np, tensorflow as tf
        from tb_trainspeed import TrainSpeedCallback

        model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
        model.compile("sgd", "mse")
        callback = TrainSpeedCallback(None, verbose=0)
        kind = type(iter(tf.data.Dataset.range(1)))
        gc.collect()
        gc.disable()
        model.fit(np.zeros((64, 4)), np.zeros((64, 1)), epochs=2, verbose=0, callbacks=[callback])
        assert callback.report.phases["input_wait"] is not None
        assert not [value for value in gc.get_objects() if isinstance(value, kind)]
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(script)], check=True)
