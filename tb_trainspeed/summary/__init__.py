"""In: a `Profile`. Out: the same `Profile`, from an event file in a TensorBoard log directory, perhaps years later.

`encode` and `decode` (codec.py, messages.py, trainspeed.proto) turn it into a few kilobytes and back; `EventFile`
(writer.py) and `read_log` (reader.py) bring those to disk and back; layout.py says where they lie, workers.py which of
them are of the same fit, silence.py which fits write no more.
"""

from tb_trainspeed.summary.codec import decode, decode_outline, encode
from tb_trainspeed.summary.layout import PLUGIN_NAME, PROFILE, PROFILE_TAG, fit_directory, run_of, seldom_s
from tb_trainspeed.summary.messages import RecordError
from tb_trainspeed.summary.reader import Fit, Log, Problem, name_of, read_log
from tb_trainspeed.summary.silence import as_of, is_silent
from tb_trainspeed.summary.workers import Place, join_workers, place_of
from tb_trainspeed.summary.writer import EventFile

__all__ = [
    "PLUGIN_NAME",
    "PROFILE",
    "PROFILE_TAG",
    "EventFile",
    "Fit",
    "Log",
    "Place",
    "Problem",
    "RecordError",
    "as_of",
    "decode",
    "decode_outline",
    "encode",
    "fit_directory",
    "is_silent",
    "join_workers",
    "name_of",
    "place_of",
    "read_log",
    "run_of",
    "seldom_s",
]
