"""What is kept of the logs of the epochs."""

import math

from tb_trainspeed.profile import Curve
from tb_trainspeed.recorder.curves import Curves


def test_a_curve_keeps_its_ends_and_extremes():
    curves = Curves()
    for loss in (2.0, 0.5, 1.5):
        curves.add({"loss": loss})
    assert curves.curves() == (Curve("loss", 3, 2.0, 0.5, 1.5, 0.5, 1, 2.0, 0),)


def test_the_first_epoch_without_a_number_is_kept():
    curves = Curves()
    for loss in (2.0, math.nan, math.inf):
        curves.add({"loss": loss})
    (curve,) = curves.curves()
    assert (curve.epochs, curve.last, curve.not_finite_epoch) == (3, 2.0, 1)


def test_what_is_no_plain_number_is_left_alone():
    class OnADevice:
        def __float__(self):
            raise AssertionError("read")

    curves = Curves()
    curves.add({"loss": OnADevice()})
    assert curves.curves() == ()


def test_the_number_of_curves_is_bounded():
    curves = Curves()
    curves.add({f"metric_{number}": 1.0 for number in range(1000)})
    assert len(curves.curves()) == 16
