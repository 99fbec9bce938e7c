"""What a long run has found: figures, and what must not have happened."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class Verdict:
    """Figures by name, in order, and one line for each thing that must not have happened.

    `table` is what a run has to say beside its line; `--save` writes it.
    """

    figures: dict[str, object] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    table: dict[str, object] = field(default_factory=dict)

    @property
    def passed(self) -> bool:
        return not self.failures

    def require(self, holds: bool, failure: str) -> None:
        """Note `failure` unless the condition holds."""
        if not holds:
            self.failures.append(failure)

    def __str__(self) -> str:
        figures = ", ".join(f"{_shown(value)} {name}" for name, value in self.figures.items())
        return f"{'passed' if self.passed else f'FAILED ({len(self.failures)})'}: {figures}"


def _shown(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.3g}"
    return f"{value:,}" if isinstance(value, int) else str(value)
