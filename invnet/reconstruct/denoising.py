"""What reconstructors around a denoiser share: calling it, and the iteration's account."""

from __future__ import annotations

import abc
import contextlib
import dataclasses
import inspect
from collections.abc import Callable, Iterator

import torch

from invnet.nets.on_images import OnImages, applied, on_images
from invnet.optimize import Progress
from invnet.optimize.progress import norm
from invnet.physics import Physics
from invnet.reconstruct.base import Info, Reconstructor
from operators.checks import check_nonnegative, check_positive_int, kind

__all__ = ["Denoiser", "DenoiserIteration", "inference"]

Denoiser = Callable[[torch.Tensor, float | torch.Tensor], torch.Tensor]

_GROWTH = 1e3  # an iteration whose image has grown this much since its start has diverged


class DenoiserIteration(Reconstructor):
    """An iteration whose every step calls a denoiser; a subclass writes `_iterates`.

    Parameters
    ----------
    denoiser : callable
        ``denoiser(x, sigma)``: an image of the shape of `x`.
    max_iter : int
        Iterations at most.
    tol : float
        A sample is done when the length of a step is at most this, relative to the image's.
    progress : bool
        Whether to show a progress bar.
    """

    def __init__(self, denoiser: Denoiser, max_iter: int, tol: float, progress: bool) -> None:
        super().__init__()
        if not callable(denoiser) or isinstance(denoiser, type):
            raise TypeError(f"{self.name}: denoiser takes a callable (x, sigma), got {kind(denoiser)}")
        signature = _signature(denoiser.net if isinstance(denoiser, OnImages) else denoiser)
        if signature is not None and not _takes_two(signature):
            advice = "of a network without levels, lambda x, sigma: net(x) makes one"
            raise TypeError(f"{self.name}: denoiser takes a callable (x, sigma), got one of {signature}; {advice}")
        self.denoiser = on_images(denoiser)
        self.max_iter = check_positive_int(max_iter, self.name, "max_iter")
        self.tol, self.progress = check_nonnegative(tol, self.name, "tol"), progress

    is_scheduled = False  # whether the iteration is done after `max_iter`, by plan

    @abc.abstractmethod
    def _iterates(self, x: torch.Tensor, y: torch.Tensor, physics: Physics, batch: int) -> Iterator[torch.Tensor]:
        """The images after each iteration from `x` on, at least `max_iter` of them."""

    def _denoise(self, x: torch.Tensor, sigma: float | torch.Tensor) -> torch.Tensor:
        result = applied(self.denoiser, x, sigma, owner=self.name)
        if not isinstance(result, torch.Tensor) or result.shape != x.shape or result.dtype != x.dtype:
            got = (
                f"{result.dtype} of shape {tuple(result.shape)}"
                if isinstance(result, torch.Tensor)
                else type(result).__name__
            )
            raise ValueError(
                f"{self.name}: the denoiser took {x.dtype} of shape {tuple(x.shape)} and must give the same, but gave "
                f"{got}; invnet.nets.OnImages fits networks to images"
            )
        bad = result.numel() - int(torch.isfinite(result).sum())
        if bad:
            raise FloatingPointError(
                f"{self.name}: the denoiser gave {bad} NaN or infinite of {result.numel()} entries for an image with "
                f"values from {_extremes(x)}, at the noise level {_shown(sigma)}"
            )
        return result

    def _reconstruct(self, y: torch.Tensor, physics: Physics) -> tuple[torch.Tensor, Info]:
        with torch.no_grad(), inference(self.denoiser):
            x = physics.direct_inverse(y)
            dims = len(physics.operator.in_shape)
            if isinstance(self.denoiser, OnImages):
                self.denoiser.check_image(x)
                dims = max(dims, self.denoiser.image_dims(x.is_complex()))
            progress = Progress(
                image_dims=dims,
                objective=None,
                tol=-1.0 if self.is_scheduled else self.tol,  # a residual is never negative
                max_iter=self.max_iter,
                every=1,
                title=self.name if self.progress else None,
            )
            return self._followed(x, self._iterates(x, y, physics, x.ndim - dims), progress)

    def _followed(
        self, x: torch.Tensor, iterates: Iterator[torch.Tensor], progress: Progress
    ) -> tuple[torch.Tensor, Info]:
        batch = x.ndim - progress.image_dims
        last, reference = x, norm(x, batch)
        for iteration in progress.steps():
            new = next(iterates)
            size = norm(new, batch)
            if iteration == 1:
                reference = torch.maximum(reference, size)
            growth = (size / reference.clamp_min(torch.finfo(size.dtype).tiny)).amax().item() if size.numel() else 0.0
            if not growth <= _GROWTH:
                raise FloatingPointError(
                    f"{self.name}: diverged: after {iteration} iterations the image is {growth:.3g} times as large as "
                    "at first; the denoiser amplifies, or expects another noise level or range of values"
                )
            change = norm(new - last, batch) / size.clamp_min(torch.finfo(size.dtype).tiny)
            x, last = progress.record(x, new, change), new
        info = Info.of(progress)
        return x, dataclasses.replace(info, converged=True) if self.is_scheduled else info


@contextlib.contextmanager
def inference(module: object) -> Iterator[None]:
    """Modules in evaluation mode meanwhile: batch normalisation by its running statistics, no dropout."""
    training = [m for m in module.modules() if m.training] if isinstance(module, torch.nn.Module) else []
    for m in training:
        m.training = False
    try:
        yield
    finally:
        for m in training:
            m.training = True


def _signature(function: Callable) -> inspect.Signature | None:
    """How a function, or a module's `forward`, is called; None for a compiled one that does not say."""
    try:
        return inspect.signature(function.forward if isinstance(function, torch.nn.Module) else function)
    except ValueError:
        return None


def _takes_two(signature: inspect.Signature) -> bool:
    """Whether a call with an image and a level fits."""
    try:
        signature.bind(None, None)
    except TypeError:
        return False
    return True


def _extremes(x: torch.Tensor) -> str:
    values = torch.view_as_real(x.resolve_conj()) if x.is_complex() else x
    low, high = torch.aminmax(values)
    return f"{low.item():.3g} to {high.item():.3g}"


def _shown(sigma: float | torch.Tensor) -> str:
    return f"{sigma.max().item():.3g} at most" if isinstance(sigma, torch.Tensor) else f"{sigma:.3g}"
