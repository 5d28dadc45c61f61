"""What can be taken along, downloaded by a real browser; the saved page opened without any server."""

import json
import struct

import pytest

from tb_trainspeed.report import diagnose, markdown
from tests.browser.conftest import HOSTILE_RUN
from tests.browser.drive import expect

SERVERS = ["fast", "prefix"]


def download(tab, what, folder):
    tab.find(".share > button").click()
    with tab.page.expect_download() as started:
        tab.find("#share button", has_text=what).click()
    path = folder / started.value.suggested_filename
    started.value.save_as(path)
    return path


@pytest.mark.parametrize("server", SERVERS)
def test_text_and_data(show, server, tmp_path, profile, report):
    tab = show(server, run="slow")
    text = download(tab, "Markdown", tmp_path)
    assert text.name == "trainspeed-slow.md"
    assert text.read_text("utf-8") == markdown.render(diagnose(profile), "slow", "1 of 1")
    data = json.loads(download(tab, "JSON", tmp_path).read_text("utf-8"))
    assert (data["run"], data["verdict"]) == ("slow", report["verdict"])


@pytest.mark.parametrize("theme", ["Light", "Dark"])
def test_a_picture(show, tmp_path, theme):
    tab = show("prefix", run="slow")
    tab.choose_theme(theme)
    expect(tab.find(".timeline canvas")).to_be_visible()
    path = download(tab, "PNG", tmp_path)
    tab.choose_theme("Light")
    data = path.read_bytes()
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = struct.unpack(">II", data[16:24])
    assert width == 2400
    assert height > 600  # with the time line
    pixel = tab.frame.evaluate(
        """async (bytes) => {
            const image = await createImageBitmap(new Blob([new Uint8Array(bytes)], {type: "image/png"}));
            const context = new OffscreenCanvas(image.width, image.height).getContext("2d");
            context.drawImage(image, 0, 0);
            return [...context.getImageData(2, 2, 1, 1).data];
        }""",
        list(data),
    )
    assert pixel == ([48, 48, 48, 255] if theme == "Dark" else [255, 255, 255, 255])


@pytest.mark.parametrize("run", ["slow", "workers", HOSTILE_RUN], ids=["slow", "workers", "hostile"])
def test_a_page_opens_without_tensorboard(show, browser, tmp_path, run):
    tab = show("fast", run=run)
    verdict = tab.find("h1").inner_text()
    path = download(tab, "HTML", tmp_path)
    page = browser.new_page()
    said, asked = [], []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("dialog", lambda dialog: (said.append(dialog.message), dialog.dismiss()))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(path.as_uri())
    expect(page.locator("h1")).to_have_text(verdict)
    expect(page.locator("header bdi")).to_have_text(run)
    expect(page.locator(".timeline canvas")).to_be_visible()
    expect(page.locator("img")).to_have_count(0)
    page.locator(".checks summary").first.click()
    page.locator(".checks .opens").first.click()
    expect(page.locator(".checks .page h4").first).to_have_text("What it means")
    page.locator(".share > button").click()
    with page.expect_download() as started:
        page.locator("#share button", has_text="JSON").click()
    assert json.loads(started.value.path().read_text("utf-8"))["run"] == run
    assert said == []
    assert [url for url in asked if not url.startswith("blob:")] == [path.as_uri()]
    page.close()


def test_a_link_leads_back_to_the_same_fit(show, browser):
    tab = show("prefix", run="slow")
    tab.find(".share > button").click()
    tab.find("#share button", has_text="Copy link").click()
    expect(tab.find(".share [role=status]")).to_have_text("link copied")
    link = tab.page.evaluate("navigator.clipboard.readText()")
    page = browser.new_page()
    page.goto(link)
    expect(page.frame_locator("iframe[src*='name=trainspeed']").locator(".picker")).to_contain_text(
        "slow", timeout=30_000
    )
    page.close()
