"""How quick the tab is: size of its bundle, time to the verdict, frames while zooming, memory over live updates.

    python -m benchmarks.server [--runs 20 1000] [--repeat N] [--updates N] [--loader fast|python ...] [--json FILE]

Measured in a real Chromium in front of a real TensorBoard. All runs are copies of one real record
(tests/golden/event_files/demo). `first` is the first look after TensorBoard has started, when every record has still to
be read; `then` the median of the following ones, with the cached bundle. Live updates come as fast as the tab takes
them; what changes in each of the server's answers is changed on its way to the tab, because TensorBoard itself reads
its files only every few seconds. For them the tab is alone in its window: TensorBoard around it would hold most of the
memory. The table goes to standard output, progress to standard error.
"""

import argparse
import contextlib
import dataclasses
import gzip
import itertools
import json
import pathlib
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from typing import Any

from tb_trainspeed.summary import read_log
from tests.browser.drive import Server, Tab, chromium, write

ROOT = pathlib.Path(__file__).parents[1]
BUNDLE = ROOT / "tb_trainspeed" / "plugin" / "static" / "index.js"
RECORD = ROOT / "tests" / "golden" / "event_files" / "demo"

# Milliseconds from the start of the tab's document to the frame that shows its verdict.
_WATCH_VERDICT = """if (location.href.includes("name=trainspeed")) {
    const seen = () => document.querySelector(".report h1") !== null;
    const watch = new MutationObserver(() => {
        if (!seen()) return;
        watch.disconnect();
        requestAnimationFrame(() => setTimeout(() => { window.verdictShown = performance.now(); }));
    });
    watch.observe(document, { childList: true, subtree: true });
}"""
# A tab asks again after five seconds: here after a twentieth of one.
_HURRY = """if (location.href.includes("name=trainspeed")) {
    const original = window.setTimeout;
    window.setTimeout = (action, ms, ...rest) => original(action, ms >= 5000 ? 50 : ms, ...rest);
}"""
# The server's answers with a fit that goes on: one more step in each report.
_GO_ON = """if (location.href.includes("name=trainspeed")) {
    window.updates = 0;
    const original = window.fetch;
    const going_on = (row) => Object.assign(row, {
        status: "running", updated_at_s: Date.now() / 1000, steps: row.steps + window.updates,
    });
    const changes = {
        runs(body) {
            body.runs.forEach(({ fits }) => fits.forEach(going_on));
        },
        report(body) {
            window.updates += 1;
            going_on(body).wall_s += window.updates;
            body.timeline.wall_s[body.timeline.wall_s.length - 1] += 0.001 * window.updates;
        },
    };
    window.fetch = async (url, options) => {
        const response = await original(url, options);
        const change = changes[new URL(url).pathname.split("/").at(-1)];
        if (!change) return response;
        const body = await response.json();
        change(body);
        return new Response(JSON.stringify(body), { status: response.status, headers: response.headers });
    };
}"""
_COUNT_FRAMES = """() => {
    window.frames_ms = [];
    const frame = (now) => {
        window.frames_ms.push(now);
        window.counting = requestAnimationFrame(frame);
    };
    window.counting = requestAnimationFrame(frame);
}"""
_FRAMES = "() => { cancelAnimationFrame(window.counting); return window.frames_ms; }"
_WARM_UP = 50
# A tab that takes no update in so many milliseconds takes none any more.
_STUCK_MS = 60_000
# Types of a heap snapshot.
_HELD = (
    "array",
    "string",
    "object",
    "closure",
    "regexp",
    "number",
    "symbol",
    "bigint",
    "concatenated string",
    "sliced string",
)


@dataclasses.dataclass(frozen=True)
class Row:
    """One line of the table. `limit` is what was promised; `at_least` says on which side of it is good."""

    what: str
    value: float
    unit: str
    limit: float | None = None
    at_least: bool = False

    @property
    def kept(self) -> bool | None:
        """Whether the promise was kept; `None` where none was given."""
        if self.limit is None:
            return None
        return self.value >= self.limit if self.at_least else self.value <= self.limit

    def line(self) -> str:
        """The row in Markdown."""
        limit = "" if self.limit is None else f"{'≥' if self.at_least else '≤'} {self.limit:g} {self.unit}"
        verdict = {True: "yes", False: "**no**", None: ""}[self.kept]
        return f"| {self.what} | {self.value:.3g} {self.unit} | {limit} | {verdict} |"


def _progress(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def bundle() -> Row:
    """What a browser downloads."""
    return Row("bundle, gzipped", len(gzip.compress(BUNDLE.read_bytes(), 9)) / 1024, "KiB", 100)


@contextlib.contextmanager
def serving(runs: int, loader: str) -> Iterator[Server]:
    """A TensorBoard on a folder of that many runs."""
    (fit,) = read_log(RECORD).fits
    with tempfile.TemporaryDirectory() as folder:
        for number in range(runs):
            times = {"started_at_s": 1e9 + number * 100, "updated_at_s": 1e9 + number * 100 + 50}
            write(pathlib.Path(folder) / f"trial-{number:04}", fit.profile, **times)
        server = Server(folder, f"--load_fast={'true' if loader == 'fast' else 'false'}")
        try:
            yield server
        finally:
            server.stop()


def _await_all(server: Server, runs: int) -> None:
    """Until TensorBoard itself has read its files; the plugin is not asked."""
    import urllib.request

    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        with urllib.request.urlopen(f"{server.url.rstrip('/')}/data/runs") as answer:
            if len(json.load(answer)) >= runs:
                return
        time.sleep(0.5)
    raise TimeoutError(f"TensorBoard did not load {runs} runs")


def verdicts(browser: Any, runs: int, loader: str, repeat: int, limit_ms: float | None) -> list[Row]:
    """Time to the verdict."""
    with serving(runs, loader) as server:
        _await_all(server, runs)
        tab = Tab(browser, server.url)
        tab.page.add_init_script(_WATCH_VERDICT)
        took = []
        for look in range(repeat + 1):
            _progress(f"{runs:,} runs, {loader} loader: look {look + 1} of {repeat + 1}")
            tab.page.goto("about:blank")
            tab.show()
            tab.find(".report h1").wait_for(timeout=60_000)
            took.append(tab.frame.wait_for_function("() => window.verdictShown").json_value())
        tab.page.context.close()
    what = f"verdict, {runs:,} runs, {loader} loader"
    return [
        Row(f"{what}, first", took[0], "ms", limit_ms),
        Row(f"{what}, then", statistics.median(took[1:]), "ms", limit_ms),
    ]


def zooming(browser: Any, drags: int = 5) -> list[Row]:
    """Frames while a stretch of the time line is drawn up and zoomed into, and the zoom reset."""
    with serving(1, "fast") as server:
        tab = Tab(browser, server.url)
        tab.show("trial-0000")
        area = tab.find(".timeline .u-over").first
        area.scroll_into_view_if_needed()
        box = area.bounding_box()
        assert box
        middle = box["y"] + box["height"] / 2
        mouse = tab.page.mouse
        tab.frame.evaluate(_COUNT_FRAMES)
        for _ in range(drags):
            mouse.move(box["x"] + box["width"] * 0.2, middle)
            mouse.down()
            mouse.move(box["x"] + box["width"] * 0.8, middle, steps=40)
            mouse.up()
            mouse.dblclick(box["x"] + box["width"] * 0.5, middle)
        stamps = tab.frame.evaluate(_FRAMES)
        tab.page.context.close()
    frames = sorted(after - before for before, after in itertools.pairwise(stamps))
    return [
        Row(f"zooming, mean of {len(frames)} frames", 1000 / statistics.fmean(frames), "frames/s", 50, at_least=True),
        Row("zooming, slowest 5 % from", 1000 / frames[int(len(frames) * 0.95)], "frames/s"),
    ]


def _objects_bytes(session: Any) -> int:
    """Bytes of all that a script can hold on to; the heap also has the code that the browser goes on compiling."""
    chunks: list[str] = []
    hear = lambda event: chunks.append(event["chunk"])  # noqa: E731
    session.on("HeapProfiler.addHeapSnapshotChunk", hear)
    session.send("HeapProfiler.takeHeapSnapshot", {"reportProgress": False})
    session.remove_listener("HeapProfiler.addHeapSnapshotChunk", hear)
    snapshot = json.loads("".join(chunks))
    fields, (types, *_) = (snapshot["snapshot"]["meta"][name] for name in ("node_fields", "node_types"))
    kind, size = fields.index("type"), fields.index("self_size")
    nodes = snapshot["nodes"]
    counted = {types.index(name) for name in _HELD}
    return sum(nodes[i + size] for i in range(0, len(nodes), len(fields)) if nodes[i + kind] in counted)


def memory(browser: Any, updates: int) -> list[Row]:
    """What the tab holds on to after so many updates more."""
    with serving(1, "fast") as server:
        _await_all(server, 1)
        page = browser.new_page()
        page.add_init_script(_HURRY)
        page.add_init_script(_GO_ON)
        page.goto(f"{server.url}data/plugin_entry.html?name=trainspeed")
        session = page.context.new_cdp_session(page)
        session.send("Performance.enable")

        def held() -> dict[str, float]:
            objects = _objects_bytes(session)  # collects garbage first
            metrics = session.send("Performance.getMetrics")["metrics"]
            return {"objects": objects, **{metric["name"]: metric["value"] for metric in metrics}}

        def take(count: int) -> None:
            until = page.evaluate("window.updates") + count
            for step in range(until - count, until, 10):
                wanted = min(step + 10, until)
                page.wait_for_function("(wanted) => window.updates >= wanted", arg=wanted, timeout=_STUCK_MS)
                _progress(f"live updates: {wanted}")

        take(_WARM_UP)
        before = held()
        take(updates)
        after = held()
        page.close()
    growth = {name: after[name] - before[name] for name in ("objects", "Nodes", "JSEventListeners")}
    what = f"{updates} live updates"
    return [
        Row(f"{what}, growth of JavaScript objects", growth["objects"] / 1024, "KiB", 100),
        Row(f"{what}, growth of nodes", growth["Nodes"], "nodes", 50),
        Row(f"{what}, growth of listeners", growth["JSEventListeners"], "listeners", 10),
    ]


def main() -> int:
    """Measures and prints a table; returns 1 where a promise was broken."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, nargs="*", default=[20, 1000])
    parser.add_argument("--loader", nargs="*", choices=("fast", "python"), default=["fast", "python"])
    parser.add_argument("--repeat", type=int, default=9)
    parser.add_argument("--updates", type=int, default=200)
    parser.add_argument("--json")
    arguments = parser.parse_args()
    rows = []

    def tell(*found: Row) -> None:
        for row in found:
            rows.append(row)
            print(row.line(), flush=True)

    print("| what | measured | promised | kept |\n|---|---|---|---|", flush=True)
    tell(bundle())
    with chromium() as browser:
        for runs in arguments.runs:
            for loader in arguments.loader:
                tell(*verdicts(browser, runs, loader, arguments.repeat, 500 if runs <= 20 else 1000))
        tell(*zooming(browser))
        tell(*memory(browser, arguments.updates))
    if arguments.json:
        values = [{**dataclasses.asdict(row), "kept": row.kept} for row in rows]
        pathlib.Path(arguments.json).write_text(json.dumps(values, indent=1) + "\n", "utf-8")
    return 1 if any(row.kept is False for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
