"""Sparse wavelet coefficients."""

from __future__ import annotations

import torch

import operators
from invnet.priors.base import AnalysisPrior
from operators import LinearOperator, Mask
from operators.solve import over_batch

__all__ = ["Wavelet"]


class Wavelet(AnalysisPrior):
    """The sum of the magnitudes of an orthogonal wavelet transform's detail coefficients.

    The coefficients of the approximation, which hold the image's coarse brightness, are free. The proximal map is soft
    thresholding [1]_. Of complex images the magnitudes of complex coefficients count.

    Parameters
    ----------
    wavelet : str
        An orthogonal one: "haar", "db4", "sym8", "coif3" ...
    level : int, optional
        Levels of the transform; by default as many as the image's size allows.
    dims : int
        How many trailing dimensions make up one image; all before them (channels, batch) are apart.

    Raises
    ------
    TypeError, ValueError
        If `dims` is not a positive integer; once an image is met, if the wavelet is unknown or not orthogonal, or the
        image's size does not allow the level.

    References
    ----------
    .. [1] D. Donoho, "De-noising by soft-thresholding", IEEE Trans. Inf. Theory 41, 1995.

    Examples
    --------
    >>> Wavelet("haar")(torch.ones(2, 8, 8))  # a constant image has no detail
    tensor([0., 0.])
    """

    def __init__(self, wavelet: str = "db4", level: int | None = None, dims: int = 2) -> None:
        super().__init__(dims)
        self.wavelet = wavelet
        self.level = level
        self._kept: tuple[tuple, operators.Wavelet] | None = None  # the transform of the last image, and of what kind

    def analysis(self, shape: tuple[int, ...]) -> LinearOperator:
        """The detail coefficients of images of this shape, and zeros in place of the approximation's."""
        W = self._made(shape)
        return Mask(W.is_detail) @ W

    def magnitudes(self, z: torch.Tensor) -> torch.Tensor:
        """The magnitude of each coefficient."""
        return z.abs()

    def _prox(self, x: torch.Tensor, step: torch.Tensor) -> torch.Tensor:
        shape = tuple(x.shape[x.ndim - self.dims :])
        W = self._transform(shape).to(x.device)
        z = W(x)
        return W.adjoint(torch.where(W.is_detail, self.shrink(z, over_batch(step, W.out_shape)), z))

    def _transform(self, shape: tuple[int, ...]) -> operators.Wavelet:
        kind = (shape, self.wavelet, self.level)
        if self._kept is None or self._kept[0] != kind:
            self._kept = (kind, self._made(shape))
        return self._kept[1]

    def _made(self, shape: tuple[int, ...]) -> operators.Wavelet:
        transform = operators.Wavelet(shape, self.wavelet, self.level)
        if not transform.gram.is_identity:
            raise ValueError(f"{self.name}: takes an orthogonal wavelet, got {self.wavelet!r}")
        return transform

    def extra_repr(self) -> str:
        """The wavelet, level and dimensions."""
        return f"{self.wavelet!r}, level={self.level}, dims={self.dims}"
