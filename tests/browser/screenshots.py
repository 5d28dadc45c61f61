"""Takes the pictures of the README from the log of a demo.

trainspeed demo --no-serve --logdir LOG
python -m tests.browser.screenshots LOG
"""

import argparse
import pathlib

from tests.browser.drive import Server, Tab, chromium, expect

IMAGES = pathlib.Path(__file__).parents[2] / "docs" / "images"
WIDTH = 1280


def take(tab: Tab, run: str, theme: str) -> None:
    """One picture of the whole tab, the bar of TensorBoard included."""
    tab.show(run=run, width=WIDTH)
    tab.choose_theme(theme.capitalize())
    expect(tab.find(":root.dark")).to_have_count(1 if theme == "dark" else 0)
    box = tab.find("main").bounding_box()
    assert box
    tab.page.set_viewport_size({"width": WIDTH, "height": round(box["y"] + box["height"])})
    tab.page.mouse.move(0, 0)
    # TensorBoard fades and moves parts of its bar.
    tab.page.wait_for_timeout(1000)
    IMAGES.mkdir(parents=True, exist_ok=True)
    tab.page.screenshot(path=IMAGES / f"tab-{theme}.png")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Takes the pictures of the README.")
    parser.add_argument("log_dir")
    parser.add_argument("--run", default="1-slow")
    arguments = parser.parse_args()
    server = Server(arguments.log_dir)
    try:
        with chromium() as browser:
            tab = Tab(browser, server.url)
            for theme in ("light", "dark"):
                take(tab, arguments.run, theme)
    finally:
        server.stop()
