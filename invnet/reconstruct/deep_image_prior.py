"""The structure of a network as the prior."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import cast

import torch
from torch import nn
from tqdm import tqdm

from invnet.checks import check_range
from invnet.nets import Hourglass
from invnet.nets.on_images import joined_parts
from invnet.physics import Physics
from invnet.priors import AnalysisPrior
from invnet.reconstruct.base import Info, Reconstructor
from invnet.reconstruct.early_stop import WindowedVariance
from operators.checks import check_nonnegative, check_positive_int

__all__ = ["DeepImagePrior"]

_INPUT = 0.1  # the input's entries are uniform between zero and this
_SMOOTHING = 1e-3  # of the prior's magnitudes, in units of the image's scale: their slope at zero


class DeepImagePrior(Reconstructor):
    """Fits a network with noise as its input to one measurement, and stops before it fits the noise [1]_.

    The network is untrained: its structure alone makes images come before noise. Each image of a batch has its own.
    What is minimised over the weights is ``-log p(y | net(z)) + strength R(net(z))``, by Adam, for any operator and
    noise, behind a sensor too.

    When to stop is read off the images themselves: at the least variance within a window of iterations [2]_.

    Parameters
    ----------
    net : callable, optional
        ``net(channels)`` makes a fresh network for images of so many channels (two for each channel of complex images).
        It has an attribute ``in_channels``. By default `invnet.nets.Hourglass`.
    dims : int
        Spatial dimensions, the last of the image. Dimensions of the operator's `in_shape` before them are channels.
    joint_channels : bool
        Whether the dimension before those of the operator is channels of one image too, rather than batch.
    bounds : (float, float), optional
        The range of the image, which then passes a sigmoid. Without, the network is linear in its last layer, and works
        at the scale of the direct inverse.
    prior : AnalysisPrior, optional
        R, such as `invnet.priors.TotalVariation` [3]_.
    strength : float
        Its weight, at least zero, as in `invnet.MAP`.
    max_iter : int
        Iterations at most.
    lr : float
        Adam's step.
    jitter : float
        Standard deviation of the noise that is added to the input at each iteration, relative to the input's.
    average : float
        The weight of the past in the running mean of the network's results that becomes the image; 0 for the last one.
    window : int
        Iterations within which the variance is taken.
    patience : int or None
        A sample is done when its least variance is this many iterations ago; None fits for `max_iter` iterations.
    restarts : int
        Networks, from seeds of their own, whose images are averaged.
    seed : int
        Of the weights and the input.
    progress : bool
        Whether to show a progress bar.

    Raises
    ------
    TypeError, ValueError
        If a parameter is out of its range; at the call, if the image has too few dimensions or the network gives
        another shape.
    FloatingPointError
        If the objective is not finite at an iteration.

    Notes
    -----
    The info's objective is summed over the batch, and its residual is the largest variance (infinite until a window is
    full): one after each iteration, and with restarts one run after the other. Without `patience`, or where it runs
    out, the reconstruction counts as converged; where iterations end before, the image is that of the least variance so
    far. The image carries no gradients.

    References
    ----------
    .. [1] D. Ulyanov, A. Vedaldi and V. Lempitsky, "Deep image prior", Int. J. Comput. Vis. 128, 2020.
    .. [2] H. Wang, T. Li, Z. Zhuang, T. Chen, H. Liang and J. Sun, "Early stopping for deep image prior", Trans. Mach.
       Learn. Res., 2023: windowed moving variance.
    .. [3] J. Liu, Y. Sun, X. Xu and U. Kamilov, "Image restoration using total variation regularized deep image prior",
       ICASSP 2019.

    Examples
    --------
    >>> import invnet, operators
    >>> physics = invnet.Physics(operators.AveragePool((16, 16), 2), noise=invnet.noise.Gaussian(0.1))
    >>> y = physics(torch.ones(16, 16), generator=torch.Generator().manual_seed(0))
    >>> small = lambda channels: invnet.nets.Hourglass(4, channels, width=8, depth=2)
    >>> x, info = DeepImagePrior(small, max_iter=50, patience=None)(y, physics, return_info=True)
    >>> info.iterations, info.objective[-1] < info.objective[0]
    (50, True)
    """

    def __init__(
        self,
        net: Callable[[int], nn.Module] | None = None,
        dims: int = 2,
        joint_channels: bool = False,
        bounds: tuple[float, float] | None = None,
        prior: AnalysisPrior | None = None,
        strength: float = 0.0,
        max_iter: int = 3000,
        lr: float = 0.01,
        jitter: float = 0.3,
        average: float = 0.99,
        window: int = 100,
        patience: int | None = 1000,
        restarts: int = 1,
        seed: int = 0,
        progress: bool = False,
    ) -> None:
        super().__init__()
        if net is not None and (not callable(net) or isinstance(net, nn.Module)):
            raise TypeError(
                f"DeepImagePrior: net takes a function that makes a network for a number of channels, got "
                f"{type(net).__name__}"
            )
        if not isinstance(prior, AnalysisPrior | None):
            raise TypeError(f"DeepImagePrior: prior takes an AnalysisPrior, got {type(prior).__name__}")
        self.dims = check_positive_int(dims, self.name, "dims")
        self._make_net = net or (lambda channels: Hourglass(out_channels=channels, dims=self.dims))
        self.joint_channels, self.prior = joint_channels, prior
        self.bounds = None if bounds is None else check_range(*bounds, self.name)
        self.strength = check_nonnegative(strength, self.name, "strength")
        self.lr = check_nonnegative(lr, self.name, "lr")
        self.jitter = check_nonnegative(jitter, self.name, "jitter")
        self.average = check_nonnegative(average, self.name, "average")
        if self.average >= 1:
            raise ValueError(f"DeepImagePrior: average must be below 1, got {average}")
        self.max_iter = check_positive_int(max_iter, self.name, "max_iter")
        self.window = check_positive_int(window, self.name, "window")
        self.patience = None if patience is None else check_positive_int(patience, self.name, "patience")
        self.restarts = check_positive_int(restarts, self.name, "restarts")
        self.seed, self.progress = seed, progress

    def _reconstruct(self, y: torch.Tensor, physics: Physics) -> tuple[torch.Tensor, Info]:
        with torch.no_grad():
            start = physics.direct_inverse(y)
        count = max(len(physics.operator.in_shape) + self.joint_channels, self.dims)
        if start.ndim < count or len(physics.operator.in_shape) < self.dims:
            raise ValueError(
                f"{self.name}: takes images of {self.dims} spatial dimensions"
                f"{' and one of channels' if self.joint_channels else ''}, got shape {tuple(start.shape)} with "
                f"{len(physics.operator.in_shape)} dimensions of {physics.operator.name}"
            )
        if start.numel() == 0:
            return start, Info()
        y, images, info = y.detach(), [], Info()
        for restart in range(self.restarts):
            fit = _Fit(self, start, count, self.seed + restart)
            with torch.enable_grad():
                image, run = self._fitted(fit, y, physics)
            images.append(image)
            info.iterations += run.iterations
            info.converged = info.converged and run.converged
            info.objective += run.objective
            info.residual += run.residual
        return torch.stack(images).mean(0), info

    def _fitted(self, fit: _Fit, y: torch.Tensor, physics: Physics) -> tuple[torch.Tensor, Info]:
        """The image of one network for each sample, and its curves."""
        stop = WindowedVariance(self.window, self.patience)
        optimizer = torch.optim.Adam(fit.parameters(), lr=self.lr)
        info, mean = Info(converged=self.patience is None), None
        for _ in tqdm(range(self.max_iter), desc=self.name, disable=not self.progress, leave=False):
            x = fit.images()
            objective = self._objective(fit.unflattened(x), y, physics, fit.scales)
            value = objective.item()
            if not math.isfinite(value):
                raise FloatingPointError(
                    f"{self.name}: the objective is {value} at iteration {info.iterations + 1}; a smaller lr, or "
                    "bounds that keep the image within the likelihood's domain, may help"
                )
            optimizer.zero_grad(set_to_none=True)
            objective.backward()
            optimizer.step()
            info.iterations += 1
            info.objective.append(value)
            with torch.no_grad():
                raw = x.detach()
                weight = (
                    self.average * (1 - self.average ** (info.iterations - 1)) / (1 - self.average**info.iterations)
                )
                mean = raw if mean is None else torch.lerp(raw, mean, weight)  # unbiased from the first iteration on
                stop.update(raw, mean)
            info.residual.append(stop.variances.max().item())
            if bool(stop.done.all()):
                info.converged = True
                break
        assert mean is not None  # there is at least one iteration
        return fit.unflattened(mean if self.patience is None else stop.best), info

    def _objective(self, x: torch.Tensor, y: torch.Tensor, physics: Physics, scales: torch.Tensor) -> torch.Tensor:
        misfit = physics.negative_log_likelihood(x, y).sum()
        if self.prior is None or not self.strength:
            return misfit
        # The magnitudes are smoothed near zero, where they have no slope: by Moreau's envelope, whose slope is the
        # projection of the coefficients.
        self.prior.check_image(x.shape)
        K = self.prior.analysis(tuple(x.shape[x.ndim - self.prior.dims :])).to(x.device)
        coefficients = K(x)
        lead = x.ndim - self.prior.dims
        scales = scales.flatten(lead).amax(-1) if scales.ndim > lead else scales
        scales = scales.reshape(*scales.shape, *(1 for _ in coefficients.shape[scales.ndim :]))
        slope = self.prior.project(coefficients.detach() / (_SMOOTHING * scales), 1.0)
        return misfit + self.strength * (slope.conj() * coefficients).real.sum()

    def extra_repr(self) -> str:
        """The dimensions, the iterations and when to stop."""
        return f"dims={self.dims}, max_iter={self.max_iter}, window={self.window}, patience={self.patience}"


class _Fit:
    """The networks of all samples with their inputs, and what makes images of their results."""

    def __init__(self, method: DeepImagePrior, start: torch.Tensor, count: int, seed: int) -> None:
        dims = method.dims
        self._shape, self._bounds, self._jitter = start.shape, method.bounds, method.jitter
        spatial = start.shape[start.ndim - dims :]
        sample = start.shape[start.ndim - count :]
        channels = math.prod(sample[:-dims])
        self._complex = start.is_complex()
        if self._complex and self._bounds is not None:
            raise TypeError(f"{method.name}: bounds are for real images, but these are complex")
        # Images at the network's door: (samples, channels, *spatial).
        samples = start.reshape(-1, channels, *spatial)
        sizes = samples.abs().flatten(1).square().mean(1).sqrt()
        sizes = torch.where(sizes > 0, sizes, 1.0) if self._bounds is None else sizes.new_full(sizes.shape, 1.0)
        self.scales = sizes.reshape(start.shape[: start.ndim - count])
        self._sizes = sizes.reshape(-1, *(1 for _ in samples.shape[1:]))
        parts = channels * (1 + self._complex)
        self._result = (1, parts, *spatial)
        # All samples begin alike, so that a result does not depend on what else is in the batch.
        self._nets: list[nn.Module] = []
        self._inputs: list[torch.Tensor] = []
        self._generators = [torch.Generator(start.device).manual_seed(seed) for _ in samples]
        for generator in self._generators:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(seed)
                net = method._make_net(parts).to(start.device, start.real.dtype).train()
            z = start.real.new_empty((1, cast(int, net.in_channels), *spatial))
            self._inputs.append(z.uniform_(0, _INPUT, generator=generator))
            self._nets.append(net)

    def parameters(self) -> list[nn.Parameter]:
        return [parameter for net in self._nets for parameter in net.parameters()]

    def images(self) -> torch.Tensor:
        """The networks' images, of shape ``(samples, channels, *spatial)``."""
        fits = zip(self._nets, self._inputs, self._generators, strict=True)
        results = torch.cat([self._run(*fit) for fit in fits])
        if self._bounds is not None:
            low, high = self._bounds
            return low + (high - low) * torch.sigmoid(results)
        return self._sizes * (joined_parts(results, 1) if self._complex else results)

    def _run(self, net: nn.Module, z: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        # The standard deviation of numbers uniform in an interval is its length over the root of twelve.
        noise = torch.empty_like(z).normal_(0, self._jitter * _INPUT / 12**0.5, generator=generator)
        result = net(z + noise) if self._jitter else net(z)
        if tuple(result.shape) != self._result:
            raise ValueError(
                f"DeepImagePrior: {type(net).__name__} must give {self._result}, but gave {tuple(result.shape)}"
            )
        return result

    def unflattened(self, x: torch.Tensor) -> torch.Tensor:
        """Images in the shape of the reconstruction."""
        return x.reshape(self._shape)
