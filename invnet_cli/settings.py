"""What a user asks of a reconstruction, beside the data."""

from __future__ import annotations

import dataclasses

__all__ = ["Settings"]


@dataclasses.dataclass(frozen=True)
class Settings:
    """The options of ``invnet reconstruct``; None where the data or the method decide."""

    physics: str
    method: str
    is_bart: bool = False  # whose dimensions always hold z
    slice: int | None = None
    key: str | None = None
    sigma: float | None = None
    device: str = "auto"
    angles: str | None = None
    axis: float | None = None
    size: int | None = None
    filter_name: str = "ram-lak"
    maps: str | None = None
    calibration: int = 24
    kernel: str | None = None
    blur: float | None = None
    mask: str | None = None
    factor: int | None = None
    strength: float | None = None
    iterations: int | None = None
    tol: float | None = None

    def on(self, device: str) -> Settings:
        """The same on a device."""
        return dataclasses.replace(self, device=device)
