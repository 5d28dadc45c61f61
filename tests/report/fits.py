"""Profiles of fits made up to the digit: what a comparison or a heat map says of them can be reckoned by hand."""

import dataclasses

from tb_trainspeed.profile import Data, Environment, Ledger, Marker, Model, Profile, Quantiles, Source, Steps, Timeline


def fit(step_s=0.04, wait_s=0.03, epochs=5, jitter=0.0, batch=32, steps=100, worker=0, collectives=None, **changes):
    """Epochs of `steps` steps of `step_s`, of which `wait_s` is waiting for data; every other one `jitter` longer."""
    lengths = [steps * step_s * (1 + jitter * (epoch % 2)) for epoch in range(epochs)]
    begins = [sum(lengths[:epoch]) for epoch in range(epochs)]
    rest = steps * (epochs - 1)
    samples = rest * batch if batch else None

    def phases(count, wall_s):
        waits = None if collectives is None else collectives * count
        compute_s = wall_s - wait_s * count - (waits or 0.0)
        return {"input_wait": wait_s * count, "compute": compute_s, "collectives": waits, "optimizer": None}

    def ledger(count, wall_s, many):
        return Ledger(wall_s, count, many, phases(count, wall_s))

    columns = [phases(steps, length) for length in lengths]
    profile = Profile(
        fit_id=f"fit-{worker}",
        worker=worker,
        status="finished",
        started_at_s=1000.0,
        updated_at_s=1000.0 + sum(lengths),
        environment=Environment("tensorflow", {"keras": "3.15.1"}, cores=4.0),
        model=Model(run_eagerly=False, steps_per_execution=1),
        data=Data("PyDatasetAdapter", "Photos", batch, workers=1, source=Source("Photos.__getitem__", 200, 8.0, 0.4)),
        ledger=ledger(steps * epochs, sum(lengths), epochs),
        steady=ledger(rest, sum(lengths[1:]), epochs - 1) if epochs > 1 else None,
        steps=Steps(rest, samples, Quantiles(rest, *[step_s] * 6), sampled=rest, wait_s=wait_s, cpu_s=0.01),
        markers=tuple(
            Marker("epoch", steps * epoch, begin_s, 0.0, f"epoch {epoch + 1}")
            for epoch, begin_s in enumerate(begins)
            if epoch  # the first has no mark
        ),
        timeline=Timeline(
            steps,
            tuple(steps * epoch for epoch in range(epochs)),
            (steps,) * epochs,
            tuple(begins),
            tuple(lengths),
            (step_s,) * epochs,
            {name: tuple(column[name] for column in columns) for name in columns[0]},
        ),
    )
    return dataclasses.replace(profile, **changes)
