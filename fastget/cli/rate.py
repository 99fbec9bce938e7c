"""How fast bytes come at the moment: over a few seconds, so that the number can be read and a stall shows."""

from __future__ import annotations

WINDOW = 3.0


class RateWindow:
    """The rate over the last `WINDOW` seconds, on any one clock. One thread adds, others may read."""

    def __init__(self) -> None:
        self._samples: tuple[tuple[float, int], ...] = ()

    def add(self, now: float, total: int) -> None:
        """`total` bytes have come in all by `now`."""
        samples = (*self._samples, (now, total))
        expired = sum(when <= now - WINDOW for when, _ in samples)
        # The last sample before the window stays: the window begins at it.
        self._samples = samples[max(0, expired - 1) :]

    def rate(self, now: float) -> float | None:
        """Bytes per second, None while there is too little to tell by."""
        samples = self._samples
        if len(samples) < 2:
            return None
        before = [sample for sample in samples if sample[0] <= now - WINDOW]
        began, first = before[-1] if before else samples[0]
        return (samples[-1][1] - first) / (now - began) if now > began else None
