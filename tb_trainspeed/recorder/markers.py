"""What happened once: an epoch, a validation, a checkpoint, a compilation. Of a kind that happens often, some."""

from tb_trainspeed.profile import Marker

MARKERS_PER_KIND = 64


class Markers:
    """Keeps the markers of each kind, and ever fewer of them as they get more."""

    def __init__(self) -> None:
        self._kinds: dict[str, tuple[int, int, list[Marker]]] = {}

    def add(self, marker: Marker) -> None:
        stride, seen, markers = self._kinds.get(marker.kind, (1, 0, []))
        if seen % stride == 0:
            markers = [*markers, marker]
            if len(markers) > MARKERS_PER_KIND:
                markers, stride = markers[::2], stride * 2
        self._kinds[marker.kind] = stride, seen + 1, markers

    def markers(self) -> tuple[Marker, ...]:
        """Returns those that were kept. May be called from any thread."""
        return tuple(marker for _, _, markers in list(self._kinds.values()) for marker in markers)
