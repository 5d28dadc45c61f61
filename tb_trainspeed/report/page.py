"""The report as one HTML file that opens anywhere: the panel of the tab, with the data inside and no network."""

import base64
import hashlib
import html
import importlib.resources
import json
from collections.abc import Mapping
from typing import Any

from tb_trainspeed.rules import catalogue

#: Where the panel looks for its data and for the pages of the rules (frontend/src/model/saved.ts).
DATA_ID = "trainspeed-saved"
RULES_ID = "trainspeed-rules"

# The browser itself refuses whatever the file might be made to load or to run besides the panel.
_POLICY = "default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; img-src data: blob:"


def render(values: Mapping[str, Any]) -> str:
    """Returns the page.

    Args:
        values: the report as the tab gets it: `Report.to_dict()` with the name of its `run`.

    Returns:
        HTML. Names and messages in the report are data to it, whatever they contain.
    """
    data = _inert(json.dumps(values, allow_nan=False))
    rules = _inert(json.dumps([rule.to_dict() for rule in catalogue()]))
    panel = _panel()
    digest = base64.b64encode(hashlib.sha256(panel.encode()).digest()).decode()
    title = html.escape(f"TrainSpeed: {values['run']}")
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY.format(digest=digest)}">\n'
        f'<meta name="viewport" content="width=device-width">\n<title>{title}</title>\n</head>\n<body>\n'
        f'<script type="application/json" id="{DATA_ID}">{data}</script>\n'
        f'<script type="application/json" id="{RULES_ID}">{rules}</script>\n'
        f'<script type="module">{panel}</script>\n<!--\n{_static("THIRD_PARTY.txt")}-->\n</body>\n</html>\n'
    )


def _inert(text: str) -> str:
    """JSON that no HTML parser finds a tag, a comment or an entity in."""
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _static(name: str) -> str:
    return (importlib.resources.files("tb_trainspeed") / "plugin" / "static" / name).read_text("utf-8")


def _panel() -> str:
    """The bundle of the tab. It is ours; what could end its element stands in strings, where a backslash is nothing."""
    return _static("index.js").replace("</script", "<\\/script").replace("<!--", "<\\!--")
