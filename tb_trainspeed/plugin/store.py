"""Records in TensorBoard's data provider -> fits and profiles.

The data provider is asked: with a data server elsewhere there are no files. Only for what it cannot tell, because a
file is damaged, that file is opened, if it is here (folder.py).
"""

import dataclasses
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from tensorboard import errors
from tensorboard.data import provider

from tb_trainspeed.plugin.folder import Folder
from tb_trainspeed.plugin.lru import Lru
from tb_trainspeed.profile import Profile
from tb_trainspeed.summary import (
    PLUGIN_NAME,
    PROFILE_TAG,
    Place,
    Problem,
    RecordError,
    decode,
    decode_outline,
    join_workers,
    place_of,
    run_of,
)

#: Runs per read. TensorBoard walks all its metadata for each read, and the fast loader fails above 256 MiB per reply.
_RUNS_PER_READ = 100

_logger = logging.getLogger("tensorboard")


class UnavailableError(errors.PublicError):  # type: ignore[misc]
    """TensorBoard cannot tell now what there is: no reason to take down what is on the screen."""

    http_code = 503


@dataclasses.dataclass(frozen=True)
class Fit:
    """One fit as the list of runs shows it, and where its record is: `series` is its run in TensorBoard's own terms.

    `damage` says what is wrong with its newest record, where this is an earlier one, out of its file.
    """

    run: str
    fit: str
    index: int
    status: str
    started_at_s: float
    updated_at_s: float
    steps: int
    wall_s: float
    backend: str
    place: Place
    series: str
    stamp: object
    damage: str = ""


@dataclasses.dataclass(frozen=True)
class Listing:
    """All records, those of a run together and the oldest first, and what could not be read."""

    fits: tuple[Fit, ...]
    problems: tuple[Problem, ...]

    def joined(self) -> list[tuple[Fit, ...]]:
        """The workers of each fit; of a fit in one process just that one. In the order of `fits`."""
        by_run: dict[str, list[Fit]] = {}
        for fit in self.fits:
            by_run.setdefault(fit.run, []).append(fit)
        return [group for fits in by_run.values() for group in join_workers(fits, lambda fit: fit.place)]

    def latest(self, run: str) -> Fit | None:
        """The fit of a run that started last."""
        return next((workers[0] for workers in reversed(self.joined()) if workers[0].run == run), None)

    def position(self, fit: Fit) -> str:
        """Which of the fits of its run one is, as the list of the tab counts them."""
        ids = [[one.fit for one in workers] for workers in self.joined() if workers[0].run == fit.run]
        return f"{1 + next(number for number, names in enumerate(ids) if fit.fit in names)} of {len(ids)}"


class Store:
    """Reads each record once: a record is known by the step and wall time of the last one of its series."""

    def __init__(self, data_provider: provider.DataProvider, log_dir: str = "") -> None:
        self._provider = data_provider
        self._folder = Folder(log_dir)
        self._root = os.path.abspath(os.path.expanduser(log_dir)) if log_dir else ""
        # More than TensorBoard itself can show; one is a few hundred bytes.
        self._listed: Lru[Fit | Problem] = Lru(20_000)
        # Enough for all workers of a large fit.
        self._profiles: Lru[Profile] = Lru(256)
        self._damages: Lru[str] = Lru(256)

    def listing(self, ctx: Any, experiment_id: str) -> Listing:
        """Every fit the provider knows. Never raises for the sake of one bad record.

        Raises:
            UnavailableError: The provider cannot list what it knows.
        """
        stamps, problems = self._stamps(ctx, experiment_id)
        listed = {series: self._listed.find((experiment_id, series), stamp) for series, stamp in stamps.items()}
        unknown = [series for series, item in listed.items() if item is None]
        for series, payload in self._payloads(ctx, experiment_id, unknown):
            item = listed[series] = self._listed_as(series, stamps[series], payload)
            if not isinstance(payload, Exception):  # the next read may succeed
                self._listed.keep((experiment_id, series), stamps[series], item)
        fits = [item for item in listed.values() if isinstance(item, Fit)]
        problems += [item for item in listed.values() if isinstance(item, Problem)]
        problems += [self._problem(fit.series, fit.damage) for fit in fits if fit.damage]
        told = {(problem.run, problem.fit) for problem in problems}
        problems += [one for one in self._folder.unread(stamps) if (one.run, one.fit) not in told]
        fits.sort(key=lambda fit: (fit.run, fit.started_at_s, fit.index))
        return Listing(tuple(fits), tuple(sorted(problems, key=dataclasses.astuple)))

    def fit(self, ctx: Any, experiment_id: str, run: str, fit_id: str) -> tuple[Fit, tuple[Fit, ...]]:
        """The fit `fit_id` of `run`, "" for its latest; and all workers of it.

        Raises:
            NotFoundError: There is none, or its record cannot be read.
        """
        listing = self.listing(ctx, experiment_id)
        wanted = fit_id or getattr(listing.latest(run), "fit", "")
        for workers in reversed(listing.joined()):
            for fit in workers:
                if fit.run == run and fit.fit == wanted:
                    return fit, workers
        message = f"run {run!r} has no TrainSpeed record of a fit {fit_id!r}"
        problems = [problem.message for problem in listing.problems if problem.run == run]
        raise errors.NotFoundError("; ".join([message, *problems[:3]]))

    def profile(self, ctx: Any, experiment_id: str, fit: Fit) -> Profile:
        """What was measured of `fit`, as far as it has been recorded by now.

        Raises:
            NotFoundError: The record has gone since it was listed, or cannot be read any more.
        """
        key = (experiment_id, fit.series)
        profile = self._profiles.find(key, fit.stamp)
        if profile is not None:
            return profile
        try:
            profile = self._folder.read(fit.series)[0] if fit.damage else None
            if profile is None:
                ((_, payload),) = self._payloads(ctx, experiment_id, [fit.series])
                profile = _decoded(payload)
            return self._profiles.keep(key, fit.stamp, profile)
        except RecordError as error:
            raise errors.NotFoundError(f"fit {fit.fit!r} of run {fit.run!r}: {error}") from error

    def damage(self, experiment_id: str, fit: Fit) -> str:
        """What is wrong with the file of `fit`, where that hides a newer record than the one that is shown."""
        key = (experiment_id, fit.series)
        return self._damages.get(key, fit.stamp, lambda: fit.damage or self._damage_of(fit))

    def _damage_of(self, fit: Fit) -> str:
        profile, damage = self._folder.read(fit.series)
        # The fast loader does not look at checksums, and so may have got further than we do.
        return damage if profile and profile.updated_at_s >= fit.updated_at_s else ""

    def _stamps(self, ctx: Any, experiment_id: str) -> tuple[dict[str, object], list[Problem]]:
        """Series -> step and wall time of its last record."""
        try:
            return self._stamps_of(ctx, experiment_id, provider.RunTagFilter(tags=[PROFILE_TAG])), []
        except errors.PublicError:
            raise
        except Exception:
            # One series without data makes the Python loader fail for all (KeyError): find it, and show the others.
            _logger.debug("TrainSpeed lists its runs one by one.", exc_info=True)
        stamps: dict[str, object] = {}
        problems: list[Problem] = []
        try:
            names = [run.run_name for run in self._provider.list_runs(ctx, experiment_id=experiment_id)]
        except Exception as error:
            _logger.warning("TrainSpeed: TensorBoard cannot list its runs.", exc_info=True)
            raise UnavailableError(f"TensorBoard cannot list its runs ({_name(error)}).") from error
        for series in names:
            try:
                only = provider.RunTagFilter(runs=[series], tags=[PROFILE_TAG])
                stamps |= self._stamps_of(ctx, experiment_id, only)
            except Exception as error:
                problems.append(self._problem(series, f"TensorBoard cannot list this record ({_name(error)})."))
        return stamps, problems

    def _stamps_of(self, ctx: Any, experiment_id: str, which: provider.RunTagFilter) -> dict[str, object]:
        listed = self._provider.list_tensors(
            ctx, experiment_id=experiment_id, plugin_name=PLUGIN_NAME, run_tag_filter=which
        )
        return {
            series: (tags[PROFILE_TAG].max_step, tags[PROFILE_TAG].max_wall_time)
            for series, tags in listed.items()
            if PROFILE_TAG in tags
        }

    def _payloads(self, ctx: Any, experiment_id: str, series: Sequence[str]) -> Iterator[tuple[str, object]]:
        """The last record of each series: bytes, or whatever stands there, or the exception that reading it raised."""
        for start in range(0, len(series), _RUNS_PER_READ):
            chunk = series[start : start + _RUNS_PER_READ]
            try:
                yield from self._read(ctx, experiment_id, chunk)
            except Exception as error:
                if len(chunk) == 1:
                    yield chunk[0], error
                    continue
                for name in chunk:
                    yield from self._payloads(ctx, experiment_id, [name])

    def _listed_as(self, series: str, stamp: object, payload: object) -> Fit | Problem:
        damage = ""
        profile: Profile | None
        try:
            profile = _decoded(payload, decode_outline)
        except RecordError as error:
            profile, damage = self._folder.read(series) if isinstance(payload, bytes) else (None, "")
            if profile is None:
                return self._problem(series, str(error))
            damage = damage or str(error)
        return _fit(run_of(series, self._root), series, stamp, profile, damage)

    def _problem(self, series: str, message: str) -> Problem:
        """`message` names its file itself, or `series` does."""
        where = "" if message.startswith(series) else f"{series}: "
        return Problem(run_of(series, self._root), f"{where}{message}", os.path.basename(series))

    def _read(self, ctx: Any, experiment_id: str, series: Sequence[str]) -> list[tuple[str, object]]:
        data = self._provider.read_tensors(
            ctx,
            experiment_id=experiment_id,
            plugin_name=PLUGIN_NAME,
            downsample=1,
            run_tag_filter=provider.RunTagFilter(runs=series, tags=[PROFILE_TAG]),
        )
        return [(name, _last(data.get(name, {}).get(PROFILE_TAG, ()))) for name in series]


def _last(data: Sequence[Any]) -> object:
    """The content of the last datum; a record is a tensor with one string in it."""
    return data[-1].numpy.reshape(-1)[0] if data and data[-1].numpy.size == 1 else None


def _decoded(payload: object, decode: Callable[[bytes], Profile] = decode) -> Profile:
    if isinstance(payload, Exception):
        raise RecordError(f"TensorBoard cannot read this record ({_name(payload)}).") from payload
    return decode(payload if isinstance(payload, bytes) else b"")


def _fit(run: str, series: str, stamp: object, profile: Profile, damage: str) -> Fit:
    return Fit(
        run=run,
        fit=profile.fit_id,
        index=profile.fit_index,
        status=profile.status,
        started_at_s=profile.started_at_s,
        updated_at_s=profile.updated_at_s,
        steps=profile.ledger.steps,
        wall_s=profile.ledger.wall_s,
        backend=profile.environment.backend,
        place=place_of(run, profile),
        series=series,
        stamp=stamp,
        damage=damage,
    )


def _name(error: Exception) -> str:
    return type(error).__name__
