"""Why does my Keras network take so long to train, and what do I change?

`TrainSpeedCallback` measures a `fit`; `Report` says where its time went, why, and what to do. Both are imported on
first use, so that TensorBoard can load the plugin without Keras.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tb_trainspeed.callback import TrainSpeedCallback
    from tb_trainspeed.report import Finding, Report

__version__ = "0.1.0"
__all__ = ["Finding", "Report", "TrainSpeedCallback", "__version__"]

_HOMES = {"TrainSpeedCallback": "callback", "Report": "report", "Finding": "report"}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        import importlib

        return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
