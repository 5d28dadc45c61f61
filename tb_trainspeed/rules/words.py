"""Numbers as people read them."""


def seconds(value: float) -> str:
    """`0.0000123` -> `12 µs`, `0.0496` -> `49.6 ms`, `248` -> `4 min 08 s`."""
    if not value:
        return "0 s"
    if value < 1e-6:
        return f"{_figures(value * 1e9)} ns"
    for limit, scale, unit in ((0.9995e-3, 1e6, "µs"), (0.9995, 1e3, "ms"), (59.95, 1.0, "s")):
        if value < limit:
            return f"{_figures(value * scale)} {unit}"
    minutes, rest = divmod(round(value), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def share(value: float) -> str:
    """`0.624` -> `62 %`, `0.004` -> `0.4 %`."""
    if 0 < value < 0.0005:
        return "<0.1 %"
    return f"{_figures(value * 100, 2)} %"


def times(value: float) -> str:
    """`2.41` -> `2.4×`, `1.043` -> `1.04×`."""
    return f"{value:.2f}×" if value < 1.2 else f"{_figures(value, 2)}×"


def times_range(low: float, high: float) -> str:
    """`2.24, 2.6` -> `2.2-2.6×` with a dash."""
    left, right = times(low).rstrip("×"), times(high)
    return right if left == right.rstrip("×") else f"{left}\N{EN DASH}{right}"


def number(value: float) -> str:
    """`1290.4` -> `1,290`."""
    return f"{value:,.0f}" if value >= 100 else _figures(value)


def size(value: float) -> str:
    """`2_500_000` -> `2.5 MB`."""
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000:
            return f"{_figures(value)} {unit}"
        value /= 1000
    return f"{_figures(value)} TB"


def _figures(value: float, figures: int = 3) -> str:
    if value >= 10 ** (figures - 1):
        return f"{value:.0f}"
    text = f"{value:.{figures - 1}f}" if value < 1 else f"{value:.{figures - (2 if value >= 10 else 1)}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
