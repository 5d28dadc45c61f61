"""Where records lie in a log directory, and how often: on what writer, reader and TensorBoard plugin agree.

Every fit is a run of its own, `<log_dir>/trainspeed/<fit_id>`. It never shares a directory with the user's own event
files, because TensorBoard's Python loader follows only the newest file of a directory.
"""

import os
import re

#: Name of the TensorBoard plugin and prefix of all tags.
PLUGIN_NAME = "trainspeed"
PROFILE = "profile"
PROFILE_TAG = f"{PLUGIN_NAME}/{PROFILE}"

_OFTEN_S = 10.0
# In a directory with a scheme (`gs://...`) every record is a file of its own.
_OFTEN_REMOTE_S = 60.0
# Of what a fit took so far: a day of training leaves some 200 records, of about 6 kB each.
_SHARE = 1 / 30

# TensorBoard names runs by their path, on Windows with backslashes.
_FIT = re.compile(rf"(?:(?P<run>.*)[/\\])?{PLUGIN_NAME}[/\\][^/\\]+", re.DOTALL)


def fit_directory(log_dir: str, fit_id: str) -> str:
    """The directory for the event file of one fit; `log_dir` may have a scheme (`gs://...`)."""
    return f"{log_dir.rstrip('/')}/{PLUGIN_NAME}/{fit_id}"


def run_of(name: str, root: str = "") -> str:
    """The run to which the fit in `name` belongs: "a/trainspeed/<fit_id>" -> "a", "trainspeed/<fit_id>" -> ".".

    Args:
        name: A path below `root`.
        root: An absolute path. In one that is itself called "trainspeed", "<fit_id>" -> ".".
    """
    match = _FIT.fullmatch(name)
    if match is None and os.path.basename(root) == PLUGIN_NAME:
        match = _FIT.fullmatch(f"{PLUGIN_NAME}/{name}")
    return (match["run"] or ".") if match else name


def seldom_s(elapsed_s: float, log_dir: str | None) -> float:
    """Returns how far apart the records of a fit are after so long, seconds."""
    return max(_OFTEN_REMOTE_S if "://" in (log_dir or "") else _OFTEN_S, _SHARE * elapsed_s)
