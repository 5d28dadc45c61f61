"""The routes of the plugin. Each parses its request and calls an `x_impl`, which knows nothing of HTTP."""

import contextlib
import dataclasses
import json
import logging
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Protocol

from tensorboard import errors, plugin_util
from tensorboard.backend import http_util
from tensorboard.plugins import base_plugin
from werkzeug import wrappers

import tb_trainspeed
from tb_trainspeed.plugin.lru import Lru
from tb_trainspeed.plugin.static_files import fingerprint, load_files
from tb_trainspeed.plugin.store import Fit, Store
from tb_trainspeed.profile import Profile
from tb_trainspeed.summary import PLUGIN_NAME, as_of, is_silent, name_of, seldom_s

#: Longer than any run name a file system allows; a longer parameter is a mistake or an attack.
_MAX_PARAMETER = 4096
#: What the list of runs says of a fit, all of it fields of `store.Fit`.
_FIT_KEYS = ("fit", "index", "status", "started_at_s", "updated_at_s", "steps", "wall_s", "backend")
_DAY_S = 24 * 60 * 60
#: What a report can be taken along as: how the name of the file ends, and its type.
_FILES = {
    "json": (".json", "application/json"),
    "markdown": (".md", "text/markdown"),
    "html": (".html", "text/html"),
}
_UNSAFE = re.compile(r"[^A-Za-z0-9._]+")

_logger = logging.getLogger("tensorboard")


class Report(Protocol):
    """What the routes need of a report."""

    def to_dict(self) -> dict[str, Any]:
        """The report as JSON."""

    def what_if(self, codes: tuple[str, ...], settings: Mapping[str, float]) -> dict[str, Any]:
        """What the remedies of these findings and these settings of levers would give together, as JSON."""


def _diagnose(profile: Profile) -> Report:
    from tb_trainspeed.report import diagnose

    return diagnose(profile)


def _catalogue() -> Iterable[Any]:
    from tb_trainspeed.rules import catalogue

    return catalogue()


class Plugin(base_plugin.TBPlugin):  # type: ignore[misc]
    """The backend of the TrainSpeed tab. Its routes are in `get_plugin_apps`."""

    plugin_name = PLUGIN_NAME

    def __init__(
        self,
        context: base_plugin.TBContext,
        diagnose: Callable[[Profile], Report] = _diagnose,
        catalogue: Callable[[], Iterable[Any]] = _catalogue,
    ) -> None:
        self._log_dir = context.logdir or ""
        self._store = Store(context.data_provider, self._log_dir)
        self._reload_s = max(0.0, getattr(context.flags, "reload_interval", 0.0))
        self._diagnose = diagnose
        self._catalogue = catalogue
        self._reports: Lru[Report] = Lru(32)
        self._files = load_files()
        self._fingerprint = fingerprint(self._files)

    # TensorBoard's whole page breaks if one of the next three raises, so they compute nothing.

    def data_plugin_names(self) -> tuple[str, ...]:
        """The tab is active as soon as there is a record."""
        return (PLUGIN_NAME,)

    def is_active(self) -> bool:
        """Only asked if there is no record."""
        return False

    def frontend_metadata(self) -> base_plugin.FrontendMetadata:
        """Where the panel is."""
        return base_plugin.FrontendMetadata(
            es_module_path=f"/static/index.js?v={self._fingerprint}", tab_name="TrainSpeed"
        )

    def get_plugin_apps(self) -> dict[str, Callable[..., Any]]:
        """The routes below /data/plugin/trainspeed."""
        routes = {
            "/runs": self._runs,
            "/report": self._report,
            "/whatif": self._whatif,
            "/compare": self._compare,
            "/rules": self._rules,
            "/static/*": self._static,
        }
        return {path: wrappers.Request.application(route) for path, route in routes.items()}

    def runs_impl(self, ctx: Any, experiment_id: str) -> dict[str, Any]:
        """All fits by run, and what could not be read."""
        listing = self._store.listing(ctx, experiment_id)
        runs: dict[str, list[dict[str, Any]]] = {}
        for workers in listing.joined():
            first = workers[0]
            row = {key: getattr(first, key) for key in _FIT_KEYS}
            updated_at_s = max(one.updated_at_s for one in workers)
            more = {
                "updated_at_s": updated_at_s,
                "workers": len(workers),
                "due_s": self._due_s(first),
                "silent": is_silent(dataclasses.replace(first, updated_at_s=updated_at_s), *self._now()),
            }
            runs.setdefault(first.run, []).append({**row, **more})
        return {
            "version": tb_trainspeed.__version__,
            "runs": [{"run": run, "fits": fits} for run, fits in runs.items()],
            "problems": [{"run": problem.run, "message": problem.message} for problem in listing.problems],
        }

    def _due_s(self, fit: Fit) -> float:
        """How far apart records of the fit get here: TensorBoard takes its time too."""
        return seldom_s(fit.updated_at_s - fit.started_at_s, self._log_dir) + self._reload_s

    def report_impl(self, ctx: Any, experiment_id: str, run: str, fit: str) -> dict[str, Any]:
        """The report on one fit, with its workers side by side, and what is damaged in its file."""
        from tb_trainspeed.report import workers_of

        with _analysis():
            found, records = self._store.fit(ctx, experiment_id, run, fit)
            report = self._report_of(ctx, experiment_id, found)
            several = records if len(records) > 1 else ()
            workers = workers_of([self._profile(ctx, experiment_id, record) for record in several])
            damage = self._store.damage(experiment_id, found)
            return {**report.to_dict(), "run": run, "workers": workers, "damage": damage}

    def file_impl(self, ctx: Any, experiment_id: str, run: str, fit: str, kind: str) -> str:
        """The report on one fit as a file to keep; `kind` is a key of `_FILES`."""
        from tb_trainspeed.report import markdown, page

        with _analysis():
            name = name_of(run, self._log_dir)
            if kind == "markdown":
                found, _ = self._store.fit(ctx, experiment_id, run, fit)
                position = self._store.listing(ctx, experiment_id).position(found)
                return markdown.render(self._report_of(ctx, experiment_id, found), name, position)
            values = {**self.report_impl(ctx, experiment_id, run, fit), "run": name}
            return page.render(values) if kind == "html" else json.dumps(values, indent=1, allow_nan=False)

    def compare_impl(self, ctx: Any, experiment_id: str, a: tuple[str, str], b: tuple[str, str]) -> dict[str, Any]:
        """What changed from one fit to another; each is a run and one of its fits, "" for its latest."""
        from tb_trainspeed.report import compare

        with _analysis():
            first, second = (self._report_on(ctx, experiment_id, run, fit) for run, fit in (a, b))
            return compare(first, second).to_dict()

    def whatif_impl(
        self, ctx: Any, experiment_id: str, run: str, fit: str, codes: tuple[str, ...], settings: dict[str, float]
    ) -> dict[str, Any]:
        """What some of the remedies and levers in a report would give together."""
        with _analysis():
            report = self._report_on(ctx, experiment_id, run, fit)
            try:
                values: dict[str, Any] = report.what_if(codes, settings)
                return values
            except ValueError as error:
                raise errors.InvalidArgumentError(str(error)) from error

    def rules_impl(self) -> list[dict[str, str]]:
        """All rules, with the text of their pages."""
        return [rule.to_dict() for rule in self._catalogue()]

    def _report_on(self, ctx: Any, experiment_id: str, run: str, fit: str) -> Any:
        found, _ = self._store.fit(ctx, experiment_id, run, fit)
        return self._report_of(ctx, experiment_id, found)

    def _report_of(self, ctx: Any, experiment_id: str, found: Fit) -> Any:
        profile = self._profile(ctx, experiment_id, found)
        stamp = found.stamp, profile.status
        return self._reports.get((experiment_id, found.series), stamp, lambda: self._diagnose(profile))

    def _profile(self, ctx: Any, experiment_id: str, found: Fit) -> Profile:
        return as_of(self._store.profile(ctx, experiment_id, found), *self._now())

    def _now(self) -> tuple[float, str]:
        """The time up to which TensorBoard has loaded what was written, and where that lies."""
        return time.time() - self._reload_s, self._log_dir

    def _runs(self, request: wrappers.Request) -> wrappers.Response:
        return _json(request, self.runs_impl(*_scope(request)))

    def _report(self, request: wrappers.Request) -> wrappers.Response:
        run, fit_id = _parameter(request, "run"), _parameter(request, "fit")
        kind = _parameter(request, "format", "")
        if not kind:
            return _json(request, self.report_impl(*_scope(request), run, fit_id))
        if kind not in _FILES:
            raise errors.InvalidArgumentError(f"there is no format {kind!r}: use one of {', '.join(_FILES)}")
        suffix, content_type = _FILES[kind]
        response = _respond(request, self.file_impl(*_scope(request), run, fit_id, kind), content_type)
        name = _UNSAFE.sub("-", f"trainspeed-{name_of(run, self._log_dir)}")[:80].strip("-.")
        response.headers["Content-Disposition"] = f'attachment; filename="{name}{suffix}"'
        return response

    def _whatif(self, request: wrappers.Request) -> wrappers.Response:
        run, fit_id = _parameter(request, "run"), _parameter(request, "fit")
        codes = tuple(dict.fromkeys(code for code in _parameter(request, "apply").split(",") if code))
        settings = _settings(_parameter(request, "levers")) if "levers" in request.args else {}
        return _json(request, self.whatif_impl(*_scope(request), run, fit_id, codes, settings))

    def _compare(self, request: wrappers.Request) -> wrappers.Response:
        a, b = ((_parameter(request, side), _parameter(request, f"{side}_fit", "")) for side in "ab")
        return _json(request, self.compare_impl(*_scope(request), a, b))

    def _rules(self, request: wrappers.Request) -> wrappers.Response:
        return _json(request, self.rules_impl())

    def _static(self, request: wrappers.Request) -> wrappers.Response:
        file = self._files.get(request.path.partition("/static/")[2])
        if file is None:
            raise errors.NotFoundError("the TrainSpeed tab has no such file")
        expires = _DAY_S if request.args.get("v") == self._fingerprint else 0
        return _respond(request, file.content, file.content_type, expires)


@contextlib.contextmanager
def _analysis() -> Iterator[None]:
    """Turns a bug of ours, on an unforeseen record, into a sentence in the panel and a traceback in the log."""
    try:
        yield
    except errors.PublicError:
        raise
    except Exception as error:
        _logger.exception("TrainSpeed could not analyse a record.")
        raise errors.InvalidArgumentError(
            f"This record could not be analysed: {type(error).__name__}: {error}. "
            "Please report this; the traceback is in TensorBoard's log."
        ) from error


def _scope(request: wrappers.Request) -> tuple[Any, str]:
    return plugin_util.context(request.environ), plugin_util.experiment_id(request.environ)


def _parameter(request: wrappers.Request, name: str, otherwise: str | None = None) -> str:
    values = request.args.getlist(name)
    if not values and otherwise is not None:
        return otherwise
    if len(values) != 1:
        raise errors.InvalidArgumentError(f"give the parameter {name!r} once; it was given {len(values)} times")
    if len(values[0]) > _MAX_PARAMETER:
        raise errors.InvalidArgumentError(f"the parameter {name!r} is longer than {_MAX_PARAMETER} characters")
    return values[0]


def _settings(text: str) -> dict[str, float]:
    """A JSON object of numbers: codes of levers may hold any character."""
    try:
        settings = json.loads(text)
    except (ValueError, RecursionError):
        settings = None
    if not isinstance(settings, dict) or any(type(value) not in (int, float) for value in settings.values()):
        raise errors.InvalidArgumentError("the parameter 'levers' must be a JSON object of numbers")
    return settings


def _json(request: wrappers.Request, body: Any) -> wrappers.Response:
    return _respond(request, body, "application/json")


def _respond(request: wrappers.Request, body: Any, content_type: str, expires: int = 0) -> wrappers.Response:
    response: wrappers.Response = http_util.Respond(request, body, content_type, expires=expires)
    return response
