"""Options of a tf.data pipeline that switch its automatic speed-ups off."""

from tb_trainspeed.profile import Data, Stage
from tb_trainspeed.rules import words
from tb_trainspeed.rules.input_pipeline.shared import waits
from tb_trainspeed.rules.rule import Change, Found, NotApplicable, Outcome, Passed, Range, rule

_SWITCHES = ("apply_default_optimizations", "inject_prefetch", "autotune.enabled")
_PATHS = {
    "apply_default_optimizations": "experimental_optimization.apply_default_optimizations",
    "inject_prefetch": "experimental_optimization.inject_prefetch",
}


@rule("IP17", "automatic-prefetch-off")
def automatic_prefetch_off(
    stages: tuple[Stage, ...], data: Data, input_share: float, wait_s: float, step_s: float
) -> Outcome:
    """The pipeline does not work ahead, because its options say so.

    What it means: an option of the dataset switches off what tf.data does by itself: prefetching, or tuning.

    Why it is slow: without `prefetch` at its end a pipeline makes the next batch only when the step asks for it. The
    two take turns instead of working side by side.

    What to change: drop the option, or end the pipeline with `.prefetch(tf.data.AUTOTUNE)`.

    When this is wrong: the option is there to save memory. A pipeline without `prefetch` and without such options is
    fine: tf.data adds one by itself, so this rule does not ask for it.

    Sources: https://www.tensorflow.org/api_docs/python/tf/data/experimental/OptimizationOptions. Measured on two cores:
    1.6 times faster. The prediction lets the step and the making of a batch, which it waits for now, run side by side.
    """
    if not stages:
        return NotApplicable("no tf.data pipeline")
    off = [name for name in _SWITCHES if data.options.get(name) == "False"]
    if not off:
        return Passed("tf.data's own speed-ups are on")
    if stages[-1].kind == "Prefetch":
        return Passed("the pipeline ends with a prefetch of its own")
    if too_little := waits(input_share):
        return Passed(too_little)
    option = f"options.{_PATHS.get(off[0], off[0])}"
    return Found(
        title="The pipeline does not work ahead",
        message=f"`{option} = False` keeps tf.data from prefetching: a batch is made when the step asks for it, "
        f"and the step waits {words.seconds(wait_s)} of {words.seconds(step_s)}.",
        phase="input_wait",
        evidence={
            "waiting for data": f"{words.share(input_share)} of training",
            "switched off": ", ".join(off),
        },
        remedy="Drop the option, or prefetch explicitly.",
        code=f"- {option} = False\n+ dataset = dataset.prefetch(tf.data.AUTOTUNE)",
        change=Change(sets={"supply_s": Range(wait_s + 0.5 * (step_s - wait_s), wait_s, wait_s * 0.8)}),
    )


RULES = (automatic_prefetch_off,)
