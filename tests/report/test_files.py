"""Reports as files to keep. What comes from outside is data in all of them."""

import dataclasses
import html.parser
import json
import pathlib
import re

import pytest

from tb_trainspeed.profile import Profile
from tb_trainspeed.report import diagnose, markdown, page
from tests.report.fits import fit

ROOT = pathlib.Path(__file__).parents[2]
EVIL = "</script><script>alert(1)</script><!-- &lt; ` | \u2028 \N{RIGHT-TO-LEFT OVERRIDE}"


def hostile():
    profile = fit()
    return dataclasses.replace(
        profile,
        data=dataclasses.replace(profile.data, kind=EVIL, source=dataclasses.replace(profile.data.source, name=EVIL)),
        environment=dataclasses.replace(profile.environment, versions={EVIL: EVIL}),
    )


class Elements(html.parser.HTMLParser):
    """Scripts of a page, as a browser tells them apart."""

    def __init__(self, text):
        super().__init__()
        self.scripts = []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        if tag == "script":
            self.scripts.append((dict(attributes), ""))

    def handle_data(self, data):
        if self.cdata_elem == "script":
            attributes, text = self.scripts[-1]
            self.scripts[-1] = attributes, text + data


def test_the_page_holds_the_data_unchanged_and_no_script_of_theirs():
    values = {**diagnose(hostile()).to_dict(), "run": EVIL, "workers": None}
    text = page.render(values)
    data, rules, panel = Elements(text).scripts
    assert data[0] == {"type": "application/json", "id": page.DATA_ID}
    assert json.loads(data[1]) == json.loads(json.dumps(values))
    assert rules[0] == {"type": "application/json", "id": page.RULES_ID}
    assert {rule["code"]: rule["doc"] for rule in json.loads(rules[1])}["IP01"].startswith("Batches are made by one")
    assert panel[0] == {"type": "module"}
    assert "alert(1)" not in text.replace(data[1], "").replace("alert(1)&lt;", "")


def test_the_page_holds_the_notices_of_what_is_in_its_panel():
    """Those of the version that is in the bundle, of each package that the panel is built from."""
    package = json.loads((ROOT / "frontend" / "package.json").read_text("utf-8"))
    text = page.render({**diagnose(fit()).to_dict(), "run": "a"})
    notices = text[text.rindex("</script>") :]
    _, *packages = (ROOT / "tb_trainspeed" / "plugin" / "static" / "THIRD_PARTY.txt").read_text("utf-8").split("=" * 80)
    assert len(packages) == len(package["dependencies"])
    for (name, version), told in zip(package["dependencies"].items(), packages, strict=True):
        assert told.startswith(f"\n\n{name} {version}, https://")
        assert "Copyright (c)" in told
        assert "The above copyright notice and this permission notice shall be included in" in told
        assert told in notices


def test_the_page_asks_for_nothing():
    text = page.render({**diagnose(fit()).to_dict(), "run": "a"})
    head = text[: text.index("<body>")]
    assert "default-src 'none'" in head
    assert not re.search(r"(src|href)=", head.replace("-src", ""))


@pytest.mark.parametrize("profile", [fit(), Profile()], ids=["a fit", "nothing"])
def test_markdown_says_what_the_report_says(profile):
    report = diagnose(profile)
    text = markdown.render(report, "baseline", "1 of 2")
    assert report.verdict in text.replace("**", "")
    assert "Run baseline, fit 1 of 2, " in text
    for finding in report.findings:
        assert f"{finding.code} {finding.name}" in text
        assert finding.remedy.code.rstrip() in text
    assert "nan" not in text
    assert "None" not in text


def test_markdown_has_no_markup_but_ours():
    text = markdown.render(diagnose(hostile()), EVIL, "1 of 1")
    outside = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    outside = re.sub(r"`[^`\n]*`", "", re.sub(r"\\.", "", outside))
    assert "<script>" not in outside
    assert "<!--" not in outside


def test_code_with_fences_in_it_stays_inside_its_own():
    report = diagnose(fit())
    finding = dataclasses.replace(
        report.findings[0], remedy=dataclasses.replace(report.findings[0].remedy, code="+ x = '''\n```\n'''")
    )
    text = markdown.render(dataclasses.replace(report, findings=(finding,)), "a", "1 of 1")
    assert "````diff\n+ x = '''\n```\n'''\n````" in text
