"""CV: how many epochs it takes to get as good.

Nothing here makes an epoch faster; what is saved are whole epochs. How good a model gets cannot be predicted from a few
numbers, so these are hints, but for a loss that is no number any more.
"""

from tb_trainspeed.rules.convergence import course, setup

RULES = tuple(sorted(course.RULES + setup.RULES, key=lambda rule: rule.code))
