"""What the rules of convergence share."""

from tb_trainspeed.rules.rule import Change, Range


def fewer(low: float, expected: float, high: float) -> Change:
    """So many epochs as shares of those of now."""
    return Change(factors={"epochs": Range(low, expected, high)})
