"""DS: several devices, which here are two halves of a CPU."""

from benchmarks.zoo.case import Fit, case
from benchmarks.zoo.trainings import fit, mlp, numbers


@case(
    "small_batch_on_two_devices",
    "DS01",
    environment={},
)
def _two_devices(fixed: bool) -> Fit:
    import tensorflow as tf

    if fixed:
        return fit(mlp(32, 256), *numbers(32 * 150), batch_size=32)
    halves = [tf.config.LogicalDeviceConfiguration()] * 2
    tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], halves)
    with tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]).scope():
        return fit(mlp(32, 256), *numbers(32 * 150), batch_size=32)
