"""When to stop fitting, without knowing the truth."""

from __future__ import annotations

import torch

from operators.solve import over_batch

__all__ = ["WindowedVariance"]


class WindowedVariance:
    """Stops where the images of the last iterations differ least from each other (ES-WMV, Wang et al. 2023).

    While a network fits the image, its results settle; once it begins to fit the noise, they move again. So the
    variance within a window of iterations has a minimum near the best image.

    Parameters
    ----------
    window : int
        Iterations that the variance is taken over.
    patience : int or None
        A sample is done when its least variance is this many iterations ago; None for never.

    Attributes
    ----------
    variances : torch.Tensor, shape ``(samples,)``
        The present variance, the mean over an image; infinite until a window is full.
    best : torch.Tensor, shape ``(samples, *image)``
        The image at the least variance so far, or the present one until a window is full.
    done : torch.Tensor, shape ``(samples,)``, boolean
    """

    def __init__(self, window: int, patience: int | None) -> None:
        self.window, self.patience = window, patience
        self.count = 0

    def update(self, raw: torch.Tensor, image: torch.Tensor) -> None:
        """Take account of an iteration.

        Parameters
        ----------
        raw : torch.Tensor, shape ``(samples, *image)``
            What the variance is of.
        image : torch.Tensor, shape ``(samples, *image)``
            What is kept as `best`.
        """
        if self.count == 0:
            self._recent = raw.new_zeros((self.window, *raw.shape))
            self.variances = torch.full(raw.shape[:1], torch.inf, dtype=raw.real.dtype, device=raw.device)
            self.best = image
            self._least, self._at = self.variances, torch.zeros_like(self.variances)
            self.done = torch.zeros_like(self.variances, dtype=torch.bool)
        self._recent[self.count % self.window] = raw
        self.count += 1
        if self.count < self.window:
            self.best = image
            return
        self.variances = self._recent.var(0, correction=0).flatten(1).mean(1)
        better = (self.variances < self._least) & ~self.done
        self._least = torch.where(better, self.variances, self._least)
        self._at = torch.where(better, float(self.count), self._at)
        self.best = torch.where(over_batch(better, tuple(image.shape[1:])), image, self.best)
        if self.patience is not None:
            self.done = self.done | (self.count - self._at >= self.patience)
