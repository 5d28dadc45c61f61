"""The entry point of the plugin. Whatever goes wrong in here must leave TensorBoard running."""

import argparse
import contextlib
import importlib
import logging
import threading

from tensorboard.plugins import base_plugin


class Loader(base_plugin.TBLoader):  # type: ignore[misc]
    """Creates the plugin when TensorBoard starts."""

    def fix_flags(self, flags: argparse.Namespace) -> None:
        """Asks the data loaders to keep one record of a fit, the last: each holds everything the earlier ones held.

        The default is up to a hundred records per fit in the server's memory.
        """
        samples = getattr(flags, "samples_per_plugin", None)
        if isinstance(samples, dict):
            samples.setdefault("trainspeed", 1)

    def load(self, context: base_plugin.TBContext) -> base_plugin.TBPlugin | None:
        """The plugin, or None (and a line in the server's log) if it cannot be created."""
        try:
            from tb_trainspeed.plugin.app import Plugin

            plugin = Plugin(context)
            # A tenth of a second and more that the first look at a report would else wait.
            threading.Thread(target=_import_ahead, name="trainspeed-import", daemon=True).start()
            return plugin
        except Exception:
            logging.getLogger("tensorboard").exception("The TrainSpeed tab is missing because of an error.")
            return None


def _import_ahead() -> None:
    """Imports what makes reports. If that fails, so will the first report, which says why."""
    with contextlib.suppress(Exception):
        importlib.import_module("tb_trainspeed.report")
