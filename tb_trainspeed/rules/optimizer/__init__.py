"""OP: the update of the weights, which reads and writes all of them and costs the same for one sample as for many."""

from tb_trainspeed.rules.optimizer import embedding, update

RULES = embedding.RULES + update.RULES
