"""The facts that rules ask for by name, each derived from a `Profile`. `None` means: not measured."""

from tb_trainspeed.rules.facts import data as data  # for its facts; the others bring theirs along
from tb_trainspeed.rules.facts.generated import generated, generated_elements_of, own_s_of
from tb_trainspeed.rules.facts.machine import AMPERE, REACHED_FLOPS, capability_of, mean, release_of
from tb_trainspeed.rules.facts.model import sample_flops, sizes
from tb_trainspeed.rules.facts.registry import FACTS
from tb_trainspeed.rules.facts.steady import COMPUTING, FIT_HOOKS, Steady, steady_of, typical_of
from tb_trainspeed.rules.facts.step_parts import sampled_layers, seconds_of
from tb_trainspeed.rules.facts.timing import (
    BATCH_HOOKS,
    ENOUGH_CALLS,
    IN_TURN,
    awake,
    locked_s_of,
    takes_turns,
    typical_call_of,
)

__all__ = [
    "AMPERE", "BATCH_HOOKS", "COMPUTING", "ENOUGH_CALLS", "FACTS", "FIT_HOOKS", "IN_TURN", "REACHED_FLOPS", "Steady",
    "awake", "capability_of", "generated", "generated_elements_of", "locked_s_of", "mean", "own_s_of", "release_of",
    "sample_flops", "sampled_layers", "seconds_of", "sizes", "steady_of", "takes_turns", "typical_call_of",
    "typical_of",
]  # fmt: skip
