"""Runs one case in this process, and writes its profile into a file.

python -m benchmarks.zoo.alone NAME slow|fixed FILE
"""

import sys

from benchmarks.zoo import CASES, measure
from tb_trainspeed.summary import encode


def main(name: str, which: str, path: str) -> None:
    """Runs the case of this name."""
    case = next(case for case in CASES if case.name == name)
    report = measure(case.fixed if which == "fixed" and case.fixed else case.slow)
    with open(path, "wb") as file:
        file.write(encode(report.profile))


if __name__ == "__main__":
    main(*sys.argv[1:])
