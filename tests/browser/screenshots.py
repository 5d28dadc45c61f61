"""Takes the pictures in docs/images of the tab in its states, all of real fits.

trainspeed demo --no-serve --logdir LOG
python -m tests.browser.screenshots LOG [--only NAME ...]

The demo has the first two fits. Some more, of a few seconds each, are trained into a copy of its log: one with several
causes, one that was stopped by hand, one that has only begun, and one that goes on while the pictures are taken.
"""

import argparse
import contextlib
import gc
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from tests.browser.drive import Server, Tab, chromium, expect

IMAGES = pathlib.Path(__file__).parents[2] / "docs" / "images"
WIDTH, HEIGHT = 1280, 900
# A fit in a process of its own, so that it can be stopped in the middle.
_TRAIN = """import sys
from tests.browser.screenshots import train
train(sys.argv[1], sys.argv[2])"""

Picture = Callable[["Studio"], None]
PICTURES: dict[str, Picture] = {}


def picture(take: Picture) -> Picture:
    """Registers a picture; its file has the name of the function."""
    PICTURES[take.__name__.replace("_", "-")] = take
    return take


def train(kind: str, log_dir: str) -> None:
    """Trains a fit of one kind: `causes`, `stopped`, `begun` or `live`."""
    import keras
    import numpy as np
    import tensorflow as tf

    from tb_trainspeed import TrainSpeedCallback

    class Logger(keras.callbacks.Callback):  # type: ignore[misc]
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            self.samples = np.sort(np.random.default_rng(batch).normal(size=60_000))
            if kind == "stopped" and self.params["epochs"] and self.model.optimizer.iterations > 150:
                raise KeyboardInterrupt

    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(4096, 28, 28, 1)).astype("float32"), rng.integers(0, 10, 4096)

    def normalise(image: Any) -> Any:
        return ((image - image.mean()) / image.std()).astype("float32")

    def prepare(image: Any, label: Any) -> Any:
        return tf.ensure_shape(tf.numpy_function(normalise, [image], tf.float32), (28, 28, 1)), label

    model = keras.Sequential(
        [
            keras.layers.Input((28, 28, 1)),
            keras.layers.Conv2D(16, 3, activation="relu", name="edges"),
            keras.layers.MaxPooling2D(),
            keras.layers.Conv2D(32, 3, activation="relu", name="shapes"),
            keras.layers.Flatten(),
            keras.layers.Dense(10, name="digits"),
        ]
    )
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
    data = tf.data.Dataset.from_tensor_slices((x, y)).map(prepare).batch(64)
    callbacks = [Logger(), TrainSpeedCallback(log_dir, verbose=0)]
    if kind == "causes":
        callbacks.insert(0, keras.callbacks.ModelCheckpoint(os.path.join(log_dir, "model.keras")))
    validation = data.take(16) if kind == "causes" else None
    epochs = {"begun": 1, "live": 1000}.get(kind, 5)
    with contextlib.suppress(KeyboardInterrupt):
        model.fit(data, shuffle=False, validation_data=validation, epochs=epochs, verbose=0, callbacks=callbacks)
    # A broken-off fit leaves Keras' iterator in a cycle. When Python frees it only at exit, TensorFlow waits for the
    # thread in `normalise`, which may not run Python any more: one of eight such processes never ends, also without us.
    gc.collect()


def _start(kind: str, folder: pathlib.Path) -> "subprocess.Popen[bytes]":
    return subprocess.Popen([sys.executable, "-c", _TRAIN, kind, str(folder / kind)])


@contextlib.contextmanager
def log_of(demo: pathlib.Path) -> Iterator[pathlib.Path]:
    """A copy of the log of a demo with the other fits in it; one of them trains until the end."""
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name) / "logs"
        shutil.copytree(demo, folder)
        for kind in ("causes", "stopped", "begun"):
            assert _start(kind, folder).wait() == 0
        live = _start("live", folder)
        try:
            time.sleep(20)
            yield folder
        finally:
            live.kill()
            live.wait()


class Studio:
    """The tab, and what the pictures of it need."""

    def __init__(self, browser: Any, server: Server, empty: Server, images: pathlib.Path) -> None:
        self.browser, self.server, self.images = browser, server, images
        self.tab = Tab(browser, server.url)
        self.nothing = Tab(browser, empty.url)

    def show(self, run: str, theme: str = "Light", width: int = WIDTH) -> Tab:
        """A run in one of TensorBoard's themes."""
        self.tab.show(run=run, width=width)
        self.tab.choose_theme(theme)
        return self.tab

    def compare(self, theme: str, width: int = WIDTH) -> Tab:
        """The two fits of the demo side by side."""
        tab = self.show("2-fixed", theme, width)
        tab.pick(".chooser > button[aria-haspopup]", "1-slow")
        expect(tab.find(".compare h1")).to_be_visible()
        return tab

    def whole(self, name: str, tab: Tab | None = None) -> None:
        """All of the tab, however long, with the bar of TensorBoard."""
        page = (tab or self.tab).page
        box = (tab or self.tab).find("main").bounding_box()
        assert box
        page.set_viewport_size({**page.viewport_size, "height": max(520, round(box["y"] + box["height"]))})
        page.mouse.move(0, 0)
        self.window(name, tab)

    def window(self, name: str, tab: Tab | None = None) -> None:
        """What is in the window."""
        # TensorBoard fades and moves parts of its bar.
        (tab or self.tab).page.wait_for_timeout(1000)
        (tab or self.tab).page.screenshot(path=self.images / f"{name}.png")

    def download(self, what: str) -> pathlib.Path:
        """A file from the menu of things to take along."""
        self.tab.find(".share > button").click()
        with self.tab.page.expect_download() as started:
            self.tab.find("#share button", has_text=what).click()
        path: pathlib.Path = started.value.path()
        return path


@picture
def tab_light(studio: Studio) -> None:
    studio.show("1-slow")
    studio.whole("tab-light")


@picture
def tab_dark(studio: Studio) -> None:
    studio.show("1-slow", "Dark")
    studio.whole("tab-dark")


@picture
def causes(studio: Studio) -> None:
    studio.show("causes")
    studio.whole("causes")


@picture
def time_line(studio: Studio) -> None:
    tab = studio.show("causes", "Dark")
    area = tab.find(".timeline .u-over").first
    area.scroll_into_view_if_needed()
    box = area.bounding_box()
    assert box
    middle = box["y"] + box["height"] / 2
    tab.page.mouse.move(box["x"] + 0.15 * box["width"], middle)
    tab.page.mouse.down()
    tab.page.mouse.move(box["x"] + 0.6 * box["width"], middle, steps=10)
    tab.page.mouse.up()
    tab.page.mouse.move(box["x"] + 0.4 * box["width"], middle)
    studio.window("time-line")


@picture
def compare_light(studio: Studio) -> None:
    studio.compare("Light")
    studio.whole("compare-light")


@picture
def compare_dark(studio: Studio) -> None:
    studio.compare("Dark")
    studio.whole("compare-dark")


@picture
def healthy(studio: Studio) -> None:
    studio.show("2-fixed")
    studio.whole("healthy")


@picture
def picker(studio: Studio) -> None:
    tab = studio.show("1-slow")
    tab.page.set_viewport_size({"width": WIDTH, "height": 520})
    tab.find(".picker > button").click()
    studio.window("picker")
    tab.page.keyboard.press("Escape")


@picture
def share(studio: Studio) -> None:
    tab = studio.show("1-slow", "Dark")
    tab.page.set_viewport_size({"width": WIDTH, "height": 520})
    tab.find(".share > button").click()
    studio.window("share")
    tab.page.keyboard.press("Escape")


@picture
def live(studio: Studio) -> None:
    tab = studio.show("live")
    expect(tab.find(".age")).to_contain_text("live", timeout=60_000)
    studio.window("live")


@picture
def stopped(studio: Studio) -> None:
    studio.show("stopped", "Dark")
    studio.window("stopped")


@picture
def one_epoch(studio: Studio) -> None:
    studio.show("begun")
    studio.window("one-epoch")


@picture
def narrow(studio: Studio) -> None:
    studio.show("1-slow", width=700)
    studio.whole("narrow")


@picture
def empty(studio: Studio) -> None:
    tab = studio.nothing.show(width=WIDTH, height=620)
    expect(tab.find("h1")).to_be_visible()
    studio.window("empty", tab)


@picture
def saved_page(studio: Studio) -> None:
    studio.show("1-slow")
    page = studio.browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
    path = studio.images / "saved-page.html"
    shutil.copy(studio.download("HTML"), path)
    page.goto(path.as_uri())
    expect(page.locator("h1")).to_be_visible()
    page.wait_for_timeout(500)
    page.screenshot(path=studio.images / "saved-page.png")
    page.close()
    path.unlink()


@picture
def to_paste(studio: Studio) -> None:
    studio.show("1-slow")
    shutil.copy(studio.download("PNG"), studio.images / "to-paste.png")


def main() -> None:
    """Takes the pictures."""
    parser = argparse.ArgumentParser(description="Takes the pictures of the tab.")
    parser.add_argument("log_dir", type=pathlib.Path, help="the log of a demo")
    parser.add_argument("--only", nargs="*", choices=list(PICTURES), default=list(PICTURES))
    parser.add_argument("--images", type=pathlib.Path, default=IMAGES, help="where to put them")
    arguments = parser.parse_args()
    arguments.images.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(log_of(arguments.log_dir))
        server = Server(folder)
        stack.callback(server.stop)
        nothing = folder.with_name("nothing")
        nothing.mkdir()
        empty_server = Server(nothing)
        stack.callback(empty_server.stop)
        studio = Studio(stack.enter_context(chromium()), server, empty_server, arguments.images)
        for name in arguments.only:
            PICTURES[name](studio)
            print(name, flush=True)


if __name__ == "__main__":
    main()
