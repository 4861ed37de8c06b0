"""How a training went."""

from __future__ import annotations

import dataclasses
import math

__all__ = ["TrainResult"]


@dataclasses.dataclass
class TrainResult:
    """How a training went.

    Attributes
    ----------
    losses : list of float
        The loss of each step.
    validations : list of (int, float)
        Steps done and the value of each validation: the mean PSNR in decibels if its data have images, and else the
        mean loss.
    metric : {"PSNR", "loss"}
        What the validations' values are.
    stopped : bool
        Whether it ended early, since validations did not improve.

    Examples
    --------
    >>> result = TrainResult(losses=[0.5, 0.3, 0.2], validations=[(2, 21.5), (3, 22.25)])
    >>> result
    TrainResult(3 steps, loss 0.2, best validation 22.25 dB PSNR after 3 steps)
    """

    losses: list[float] = dataclasses.field(default_factory=list)
    validations: list[tuple[int, float]] = dataclasses.field(default_factory=list)
    metric: str = "PSNR"
    stopped: bool = False

    @property
    def steps(self) -> int:
        """Steps done."""
        return len(self.losses)

    @property
    def best(self) -> tuple[int, float] | None:
        """Steps done and value of the first of the best validations; None if there was none."""
        if not self.validations:
            return None
        pick = max if self.metric == "PSNR" else min
        return pick(self.validations, key=lambda validation: validation[1])

    def __repr__(self) -> str:
        texts = [f"{self.steps} steps{', stopped early' if self.stopped else ''}"]
        texts.append(f"loss {self.losses[-1] if self.losses else math.nan:.6g}")
        if self.best is not None:
            step, value = self.best
            kind = f"{value:.2f} dB PSNR" if self.metric == "PSNR" else f"loss {value:.6g}"
            texts.append(f"best validation {kind} after {step} steps")
        return f"TrainResult({', '.join(texts)})"
