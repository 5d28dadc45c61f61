"""The waist: what was measured of one `fit`, as plain values.

Everything left of this package measures a live process; everything right of it is a pure function of a `Profile`. Hence
facts only: no severity, no advice, no threshold. Units are in the field names, and a field that could not be measured
is `None`, never 0. Standard library only.
"""

import dataclasses
from collections.abc import Mapping

from tb_trainspeed.profile.course import Curve, Marker, Timeline
from tb_trainspeed.profile.setup import (
    NOT_GIVEN,
    CallbackFacts,
    CodeLine,
    Data,
    Device,
    Environment,
    Files,
    HotSpot,
    Layer,
    Model,
    Source,
    Stage,
)
from tb_trainspeed.profile.timing import (
    ONE_OFF_PHASES,
    PHASES,
    Breakdown,
    Compilation,
    CompilationEvent,
    Epochs,
    Hook,
    LayerTime,
    Ledger,
    NestedCall,
    Part,
    Quantiles,
    StageTime,
    Steps,
    Validation,
)
from tb_trainspeed.profile.usage import Accelerator, Cost, DeviceMemory, Resources, Usage

SCHEMA = 1


@dataclasses.dataclass(frozen=True)
class Profile:
    """Everything measured of one call of `fit` in one process.

    `fit_index` counts the fits of this callback, `model_fit_index` those of this model that were measured, from 1.
    `worker` numbers the processes of a distributed fit, from 0.
    """

    schema: int = SCHEMA
    fit_id: str = ""
    fit_index: int = 1
    worker: int = 0
    status: str = "running"
    started_at_s: float = 0.0
    updated_at_s: float = 0.0
    start_seen: str = "callbacks"
    epochs_planned: int | None = None
    model_fit_index: int | None = None
    environment: Environment = dataclasses.field(default_factory=Environment)
    model: Model = dataclasses.field(default_factory=Model)
    data: Data = dataclasses.field(default_factory=Data)
    validation: Validation | None = None
    ledger: Ledger = dataclasses.field(default_factory=Ledger)
    steady: Ledger | None = None
    epochs: Epochs = dataclasses.field(default_factory=Epochs)
    steps: Steps = dataclasses.field(default_factory=Steps)
    breakdown: Breakdown | None = None
    hooks: tuple[Hook, ...] = ()
    callbacks: tuple[CallbackFacts, ...] = ()
    nested_calls: tuple[NestedCall, ...] = ()
    compilation: Compilation = dataclasses.field(default_factory=Compilation)
    timeline: Timeline = dataclasses.field(default_factory=Timeline)
    markers: tuple[Marker, ...] = ()
    resources: Resources = dataclasses.field(default_factory=Resources)
    cost: Cost = dataclasses.field(default_factory=Cost)
    curves: tuple[Curve, ...] = ()
    not_measured: Mapping[str, str] = dataclasses.field(default_factory=dict)


__all__ = [
    "NOT_GIVEN", "ONE_OFF_PHASES", "PHASES", "SCHEMA", "Accelerator", "Breakdown", "CallbackFacts", "CodeLine",
    "Compilation", "CompilationEvent", "Cost", "Curve", "Data", "Device", "DeviceMemory", "Environment", "Epochs",
    "Files", "Hook", "HotSpot", "Layer", "LayerTime", "Ledger", "Marker", "Model", "NestedCall", "Part", "Profile",
    "Quantiles", "Resources", "Source", "Stage", "StageTime", "Steps", "Timeline", "Usage", "Validation",
]  # fmt: skip
