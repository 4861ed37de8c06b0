"""The methods, on one problem."""

from __future__ import annotations

import math

import click
import torch

import invnet
import operators
from invnet.pretrained import names
from invnet_cli.names import TRAINED
from invnet_cli.pictures import Crop
from invnet_cli.problem import Problem
from invnet_cli.settings import Settings
from operators.solve import cg, lstsq

__all__ = ["solve"]

_LEVEL = 4  # of the wavelet transform: sizes are multiples of 16
_TOL = 2e-4
_HOLES = 0.5  # a denoiser's level at which holes are noise


def solve(problem: Problem, settings: Settings, progress: bool) -> torch.Tensor:
    """The image of a problem, in its own units."""
    device = settings.device
    operator, y = problem.operator.to(device), problem.measurement.to(device)
    image = _METHODS[settings.method](problem, operator, y, settings, progress)
    return problem.finish(image.cpu()) * problem.scale


def _direct(_: Problem, operator: operators.LinearOperator, y: torch.Tensor, __: Settings, ___: bool) -> torch.Tensor:
    return operator.direct_inverse(y)


def _fbp(_: Problem, operator: operators.LinearOperator, y: torch.Tensor, settings: Settings, __: bool) -> torch.Tensor:
    if not isinstance(operator, operators.ParallelBeam):
        raise ValueError(f"fbp is for parallel-beam scans; for {settings.physics} take direct")
    return operator.filtered_backprojection(y, settings.filter_name)


def _least_squares(
    problem: Problem, operator: operators.LinearOperator, y: torch.Tensor, settings: Settings, _: bool
) -> torch.Tensor:
    if problem.smoothness is not None:
        return _smooth(problem, problem.smoothness, operator, y, settings)
    # The most probable image among those of independent values, as large as those of the direct inverse.
    power = operator.direct_inverse(y).abs().square().mean().item() or 1.0
    damping = problem.sigma**2 * (settings.strength or 1 / power)
    return lstsq(operator, y, damping=damping, tol=settings.tol or 1e-4, max_iter=settings.iterations)


def _smooth(
    problem: Problem, smoothness: float, operator: operators.LinearOperator, y: torch.Tensor, settings: Settings
) -> torch.Tensor:
    """Least squares with the squared gradient beside the data's misfit."""
    gradient = operators.FiniteDifference(operator.in_shape).to(y.device)
    weight = problem.sigma**2 * (settings.strength or smoothness)
    # The residual is that of the data's equations, too: where pixels are missing it is small long before the end.
    tol = settings.tol or 1e-6
    return cg(operator.gram + weight * gradient.gram, operator.H(y), tol=tol, max_iter=settings.iterations or 1000)


def _map_tv(
    problem: Problem, operator: operators.LinearOperator, y: torch.Tensor, settings: Settings, progress: bool
) -> torch.Tensor:
    dims = len(operator.in_shape)
    prior = invnet.priors.TotalVariation(dims, joint_channels=problem.has_channels)
    return _map(prior, problem, operator, y, settings, progress)


def _map_wavelet(
    problem: Problem, operator: operators.LinearOperator, y: torch.Tensor, settings: Settings, progress: bool
) -> torch.Tensor:
    shape = operator.in_shape
    multiple = 2**_LEVEL
    larger = tuple(multiple * math.ceil(n / multiple) for n in shape)
    prior = invnet.priors.Wavelet("db4", _LEVEL, dims=len(shape))
    if larger == shape:
        return _map(prior, problem, operator, y, settings, progress)
    # The transform halves sizes: the image goes on beyond what is measured, and is cut afterwards.
    window = Crop(larger, shape, tuple((n - m) // 2 for n, m in zip(larger, shape, strict=True)))
    return window(_map(prior, problem, operator @ window, y, settings, progress))


def _map(
    prior: invnet.priors.Prior,
    problem: Problem,
    operator: operators.LinearOperator,
    y: torch.Tensor,
    settings: Settings,
    progress: bool,
) -> torch.Tensor:
    method = invnet.MAP(
        prior,
        settings.strength or problem.strength,
        bounds=problem.bounds,
        tol=settings.tol or _TOL,
        max_iter=settings.iterations or 1000,
        progress=progress,
    )
    return _run(method, problem, operator, y)


def _deep_image_prior(
    problem: Problem, operator: operators.LinearOperator, y: torch.Tensor, settings: Settings, progress: bool
) -> torch.Tensor:
    method = invnet.DeepImagePrior(
        dims=len(operator.in_shape),
        joint_channels=problem.has_channels,
        max_iter=settings.iterations or 3000,
        progress=progress,
    )
    return _run(method, problem, operator, y)


def _plug_and_play(
    problem: Problem, operator: operators.LinearOperator, y: torch.Tensor, settings: Settings, _: bool
) -> torch.Tensor:
    denoiser = invnet.pretrained("denoiser-gray").to(settings.device)
    if settings.physics != "inpaint":
        return _run(invnet.PlugAndPlay(denoiser), problem, operator, y)
    # Missing pixels begin as black ones, far from what they are to be: a higher first level, and more steps.
    levels = _HOLES, max(problem.sigma, 0.01)
    return _run(invnet.PlugAndPlay(denoiser, sigma=levels, max_iter=24), problem, operator, y)


def _trained(
    problem: Problem, operator: operators.LinearOperator, y: torch.Tensor, settings: Settings, _: bool
) -> torch.Tensor:
    return _by_weights(settings.method, problem, operator, y, settings)


def _edsr(
    problem: Problem, operator: operators.LinearOperator, y: torch.Tensor, settings: Settings, _: bool
) -> torch.Tensor:
    factor = settings.factor or 2
    if f"edsr-x{factor}" not in names():
        raise ValueError(f"edsr is for --factor 2 or 4, got {factor}")
    return _by_weights(f"edsr-x{factor}", problem, operator, y, settings)


def _by_weights(
    name: str, problem: Problem, operator: operators.LinearOperator, y: torch.Tensor, settings: Settings
) -> torch.Tensor:
    method = invnet.pretrained(name).to(settings.device)
    assert isinstance(method, invnet.Reconstructor)
    return _run(method, problem, operator, y)


def _run(
    method: invnet.Reconstructor, problem: Problem, operator: operators.LinearOperator, y: torch.Tensor
) -> torch.Tensor:
    physics = invnet.Physics(operator, noise=invnet.noise.Gaussian(problem.sigma))
    image, info = method(y, physics, return_info=True)
    if not info.converged:
        done = f"{info.iterations} iterations; --iterations allows more"
        click.echo(f"Warning: {method.name} was not done after {done}", err=True)
    return image


_METHODS = {
    "direct": _direct,
    "fbp": _fbp,
    "least-squares": _least_squares,
    "map-tv": _map_tv,
    "map-wavelet": _map_wavelet,
    "deep-image-prior": _deep_image_prior,
    "plug-and-play": _plug_and_play,
    **dict.fromkeys(TRAINED, _trained),
    "edsr": _edsr,
}
