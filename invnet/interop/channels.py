"""deepinv's tensors ``(B, C, ...)``: the one place where complex numbers become two channels, and back."""

from __future__ import annotations

import torch

__all__ = ["as_channels", "as_complex"]


def as_channels(z: torch.Tensor) -> torch.Tensor:
    """Complex ``(B, ...)`` as real ``(B, 2, ...)``: the real and the imaginary part. A real tensor as it is."""
    return torch.view_as_real(z.resolve_conj()).movedim(-1, 1) if z.is_complex() else z


def as_complex(x: torch.Tensor, owner: str) -> torch.Tensor:
    """Real ``(B, 2, ...)`` as complex ``(B, ...)``. A complex tensor as it is.

    Raises
    ------
    ValueError
        If there are not two channels.
    """
    if x.is_complex():
        return x
    if x.ndim < 2 or x.shape[1] != 2:
        raise ValueError(f"{owner}: takes complex numbers as two channels (B, 2, ...), got shape {tuple(x.shape)}")
    return torch.complex(*x.unbind(1))
