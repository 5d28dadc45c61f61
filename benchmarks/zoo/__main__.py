"""Runs the cases of one backend and prints a table.

    KERAS_BACKEND=jax python -m benchmarks.zoo [--only NAME ...] [--repeat N] [--records FOLDER] [--markdown FILE]

Slow and fixed alternate, and which of them begins does too. With `--records` the profile of every fit is kept: a run
that is cut off goes on where it was, and what is there already is not run but diagnosed anew, by the rules and the
model of now. The page is of all that the folder holds, of every backend.
"""

import argparse
import contextlib
import os
import sys
import tempfile
import time
from collections.abc import Mapping
from typing import Any

import keras

from benchmarks.cores import Cores, watched
from benchmarks.zoo import CASES, Case, measure, on_this_backend, run
from benchmarks.zoo.results import HEAD, markdown, result, row
from benchmarks.zoo.trainings import fit, mlp, numbers
from tb_trainspeed import Report
from tb_trainspeed.report import diagnose
from tb_trainspeed.summary import decode, encode


class Records:
    """The profiles of all fits, one file each, as long as there is the folder."""

    def __init__(self, folder: str, backend: str) -> None:
        self._folder = folder
        self._backend = backend
        os.makedirs(folder, exist_ok=True)
        #: Where it is written how fast the cores were while the fits ran.
        self.cores = os.path.join(folder, f"{backend}.cores")

    def path(self, chosen: Case, turn: int, which: str) -> str:
        """File of one fit of a case."""
        return os.path.join(self._folder, f"{self._backend}.{chosen.name}.{turn}.{which}")

    def run(self, chosen: Case, turn: int) -> None:
        """Runs what is not there of one turn; in odd turns the fixed one goes first."""
        order = ["slow", "fixed"] if chosen.fixed else ["slow"]
        for which in reversed(order) if turn % 2 else order:
            path = self.path(chosen, turn, which)
            if not os.path.exists(path):
                report = run(chosen, fixed=which == "fixed")
                with open(path + ".new", "wb") as file:
                    file.write(encode(report.profile))
                os.replace(path + ".new", path)

    def entry(self, chosen: Case) -> dict[str, Any]:
        """What a case has shown so far, all its turns."""
        repeats: list[dict[str, Any]] = []
        cores = Cores(self.cores)
        while slow := self._read(chosen, len(repeats), "slow"):
            repeats.append(result(chosen, slow, self._read(chosen, len(repeats), "fixed"), cores))
        return {
            "name": chosen.name,
            "family": chosen.family,
            "backend": self._backend,
            "causes": chosen.causes,
            "repeats": repeats,
        }

    def _read(self, chosen: Case, turn: int, which: str) -> Report | None:
        with contextlib.suppress(FileNotFoundError), open(self.path(chosen, turn, which), "rb") as file:
            return diagnose(decode(file.read()))
        return None


def entries(folder: str) -> list[Mapping[str, Any]]:
    """Everything that a folder of records holds, in the order of the cases."""
    found = [Records(folder, backend).entry(chosen) for chosen in CASES for backend in chosen.backends]
    return [entry for entry in found if entry["repeats"]]


def main() -> None:
    """Runs the cases and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="*", metavar="NAME", help="cases or families")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--records", metavar="FOLDER", help="keep the profiles here, and go on from those there are")
    parser.add_argument("--markdown", metavar="FILE", help="write the page of all results")
    arguments = parser.parse_args()
    chosen = [case for case in CASES if on_this_backend(case)]
    if arguments.only is not None:
        chosen = [case for case in chosen if {case.name, case.family} & set(arguments.only)]
    with contextlib.ExitStack() as stack:
        folder = arguments.records or stack.enter_context(tempfile.TemporaryDirectory())
        records = Records(folder, keras.backend.backend())
        stack.enter_context(watched(records.cores))
        print(HEAD, flush=True)
        measure(lambda: fit(mlp(32), *numbers(64 * 10), batch_size=64))  # a process' first fit pays for much else
        for index, case in enumerate(chosen, 1):
            begin = time.perf_counter()
            for turn in range(arguments.repeat):
                print(
                    f"\r{index}/{len(chosen)} {case.name}, {turn + 1}/{arguments.repeat}",
                    end="\x1b[K\r",
                    file=sys.stderr,
                )
                records.run(case, turn)
            print(
                f"{index}/{len(chosen)} {case.name}, {time.perf_counter() - begin:.1f} s",
                end="\x1b[K\n",
                file=sys.stderr,
            )
            print(row(records.entry(case)), flush=True)
        if arguments.markdown:
            with open(arguments.markdown, "w", encoding="utf-8") as file:
                file.write(markdown(entries(folder)))


if __name__ == "__main__":
    main()
