"""Starts TensorBoard and Chromium, and opens the tab; also for pictures of it (screenshots.py)."""

import contextlib
import dataclasses
import os
import re
import shutil
import subprocess
import sys
import threading
import time
import urllib.parse

try:
    from playwright.sync_api import expect, sync_playwright
except ImportError:
    expect = sync_playwright = None

from tb_trainspeed.summary import EventFile, encode, fit_directory

_BROWSERS = ("chromium", "chromium-browser", "google-chrome")
_SWITCHES = ("--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
             "--disable-component-update", "--disable-sync")  # fmt: skip
# What TensorBoard itself says on its console, and what its own page asks for though it does not ship it.
_KNOWN = ("WARNING: Multiple instances of Three.js being imported.",)
_NOT_SHIPPED = "/font-roboto/"
_REPORT_CSP = """addEventListener("securitypolicyviolation", (event) => {
    console.error(`securitypolicyviolation: ${event.violatedDirective} ${event.blockedURI}`);
});"""


_THREE_FRAMES = """() => new Promise((resolve) => {
    const after = (frames) => requestAnimationFrame(() => { frames > 1 ? after(frames - 1) : resolve(); });
    after(3);
})"""


# TensorBoard as the command `tensorboard` starts it, on a machine without TensorFlow: importing that takes long.
_TENSORBOARD = """import sys, types
sys.modules["tensorboard.compat.notf"] = types.ModuleType("notf")
from tensorboard.main import run_main
run_main()"""


class MissingError(Exception):
    """There is no browser on this machine, or nothing to steer it with."""


@contextlib.contextmanager
def chromium():
    """A Chromium: the one in the environment variable CHROMIUM, or an installed one."""
    path = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, _BROWSERS)), None)
    if path is None:
        raise MissingError("no Chromium: install it, or give its path in the environment variable CHROMIUM")
    if sync_playwright is None:
        raise MissingError("no playwright: pip install playwright (its own browsers are not needed)")
    with sync_playwright() as playwright:
        # Containers, as CI uses them, have no sandbox.
        browser = playwright.chromium.launch(executable_path=path, args=_SWITCHES, chromium_sandbox=False)
        yield browser
        browser.close()


def write(run_dir, profile, **changes):
    """Writes a record, with these fields changed, into the log of a run."""
    profile = dataclasses.replace(profile, **changes)
    events = EventFile(fit_directory(str(run_dir), profile.fit_id))
    events.write(profile.ledger.steps, time.time(), {"profile": encode(profile)})
    events.close()


def eventually(read, wanted, timeout_s=10.0):
    """Asserts that `read()` becomes `wanted` (perhaps a `pytest.approx`): what is on screen follows a click, it is not
    there at once."""
    deadline = time.monotonic() + timeout_s
    while (value := read()) != wanted and time.monotonic() < deadline:
        time.sleep(0.05)
    assert value == wanted


class Server:
    """`tensorboard` as a process of its own."""

    def __init__(self, log_dir, *flags):
        options = ["--logdir", str(log_dir), "--host", "127.0.0.1", "--port", "0", "--reload_interval", "1", *flags]
        command = [sys.executable, "-c", _TENSORBOARD, *options]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        self._lines = []
        self._url = None
        self._told = threading.Event()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self):
        for line in self._process.stderr:
            self._lines.append(line)
            found = re.search(r"TensorBoard \S+ at (http://\S+)", line)
            if found:
                self._url = found[1]
                self._told.set()
        self._told.set()

    @property
    def url(self):
        """Where it is, once it is up."""
        self._told.wait(60)
        assert self._url, "".join(self._lines)
        return self._url

    def stop(self):
        self._process.terminate()
        self._process.wait(20)
        self._reader.join(20)
        self._process.stderr.close()


class Tab:
    """The TrainSpeed tab of one TensorBoard, in a browser window of its own. `complaints` is what the console said."""

    def __init__(self, browser, url):
        self._url = url
        self.complaints = []
        # Without motion nothing is half faded or on its way when it is looked at.
        context = browser.new_context(color_scheme="light", reduced_motion="reduce")
        context.set_default_timeout(30_000)
        context.grant_permissions(["clipboard-read", "clipboard-write"])
        context.add_init_script(_REPORT_CSP)
        self.page = context.new_page()
        self.page.on("console", lambda message: self._hear(message.type, message.text, message.location["url"]))
        self.page.on("pageerror", lambda error: self.complaints.append(f"uncaught: {error}"))
        self.page.on("dialog", self._dismiss)
        self._frame = self.page.frame_locator("iframe[src*='name=trainspeed']")

    def show(self, run=None, width=1280, height=900):
        """Goes to a run; TensorBoard itself, which takes seconds to load, stays if it is there already."""
        self.page.set_viewport_size({"width": width, "height": height})
        chosen = "" if run is None else f"&p.trainspeed.run={urllib.parse.quote(run, safe='')}"
        self.page.goto(f"{self._url}#trainspeed{chosen}")
        if run is not None:
            expect(self.find(".picker > button")).to_contain_text(run, timeout=30_000)
            expect(self.find(".report:not(.stale)")).to_be_visible()
        return self

    def choose_theme(self, name):
        """`Light` or `Dark`, in TensorBoard's own menu."""
        self.page.get_by_role("button", name="Menu for changing light or dark theme").click()
        self.page.get_by_role("menuitem", name=name).click()
        expect(self.page.get_by_role("menu")).to_have_count(0)
        expect(self.find(":root.dark")).to_have_count(1 if name == "Dark" else 0)

    def pick(self, button, words):
        """Chooses the one run that has these words in its name, in the list that a button opens."""
        self.find(button).click()
        self.find("[role=combobox]").fill(words)
        option = self.find("[role=option]")
        expect(option).to_have_count(1)
        option.click()

    def settle(self):
        """Waits until what was changed is drawn, and what follows the size of its surroundings has followed."""
        self.frame.evaluate(_THREE_FRAMES)

    @property
    def frame(self):
        """The document of the tab, to run scripts in."""
        return next(frame for frame in self.page.frames if "name=trainspeed" in frame.url)

    def find(self, selector, **options):
        """A locator inside the tab."""
        return self._frame.locator(selector, **options)

    def _hear(self, kind, text, url):
        if kind in ("error", "warning") and not text.startswith(_KNOWN) and _NOT_SHIPPED not in url:
            self.complaints.append(f"{kind}: {text} ({url})")

    def _dismiss(self, dialog):
        self.complaints.append(f"a dialog: {dialog.message}")
        dialog.dismiss()
