"""The methods, on one problem."""

from __future__ import annotations

import dataclasses
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
    task = _Task(problem, problem.operator.to(device), problem.measurement.to(device), settings, progress)
    return problem.finish(_METHODS[settings.method](task).cpu()) * problem.scale


@dataclasses.dataclass(frozen=True)
class _Task:
    """A problem on the device that computes, and what the user asks of the method."""

    problem: Problem
    operator: operators.LinearOperator
    y: torch.Tensor
    settings: Settings
    progress: bool


def _direct(task: _Task) -> torch.Tensor:
    return task.operator.direct_inverse(task.y)


def _fbp(task: _Task) -> torch.Tensor:
    if not isinstance(task.operator, operators.ParallelBeam):
        raise ValueError(f"fbp is for parallel-beam scans; for {task.settings.physics} take direct")
    return task.operator.filtered_backprojection(task.y, task.settings.filter_name)


def _least_squares(task: _Task) -> torch.Tensor:
    operator, settings = task.operator, task.settings
    if task.problem.smoothness is not None:
        return _smooth(task, task.problem.smoothness)
    # The most probable image among those of independent values, as large as those of the direct inverse.
    power = operator.direct_inverse(task.y).abs().square().mean().item() or 1.0
    damping = task.problem.sigma**2 * (settings.strength or 1 / power)
    return lstsq(operator, task.y, damping=damping, tol=settings.tol or 1e-4, max_iter=settings.iterations)


def _smooth(task: _Task, smoothness: float) -> torch.Tensor:
    """Least squares with the squared gradient beside the data's misfit."""
    operator, settings = task.operator, task.settings
    gradient = operators.FiniteDifference(operator.in_shape).to(task.y.device)
    weight = task.problem.sigma**2 * (settings.strength or smoothness)
    # The residual is that of the data's equations, too: where pixels are missing it is small long before the end.
    tol = settings.tol or 1e-6
    return cg(operator.gram + weight * gradient.gram, operator.H(task.y), tol=tol, max_iter=settings.iterations or 1000)


def _map_tv(task: _Task) -> torch.Tensor:
    dims = len(task.operator.in_shape)
    return _map(task, invnet.priors.TotalVariation(dims, joint_channels=task.problem.has_channels))


def _map_wavelet(task: _Task) -> torch.Tensor:
    shape = task.operator.in_shape
    multiple = 2**_LEVEL
    larger = tuple(multiple * math.ceil(n / multiple) for n in shape)
    prior = invnet.priors.Wavelet("db4", _LEVEL, dims=len(shape))
    if larger == shape:
        return _map(task, prior)
    # The transform halves sizes: the image goes on beyond what is measured, and is cut afterwards.
    window = Crop(larger, shape, tuple((n - m) // 2 for n, m in zip(larger, shape, strict=True)))
    return window(_map(dataclasses.replace(task, operator=task.operator @ window), prior))


def _map(task: _Task, prior: invnet.priors.Prior) -> torch.Tensor:
    settings = task.settings
    method = invnet.MAP(
        prior,
        settings.strength or task.problem.strength,
        bounds=task.problem.bounds,
        tol=settings.tol or _TOL,
        max_iter=settings.iterations or 1000,
        progress=task.progress,
    )
    return _run(task, method)


def _deep_image_prior(task: _Task) -> torch.Tensor:
    method = invnet.DeepImagePrior(
        dims=len(task.operator.in_shape),
        joint_channels=task.problem.has_channels,
        max_iter=task.settings.iterations or 3000,
        progress=task.progress,
    )
    return _run(task, method)


def _plug_and_play(task: _Task) -> torch.Tensor:
    denoiser = invnet.pretrained("denoiser-gray").to(task.settings.device)
    if task.settings.physics != "inpaint":
        return _run(task, invnet.PlugAndPlay(denoiser))
    # Missing pixels begin as black ones, far from what they are to be: a higher first level, and more steps.
    levels = _HOLES, max(task.problem.sigma, 0.01)
    return _run(task, invnet.PlugAndPlay(denoiser, sigma=levels, max_iter=24))


def _trained(task: _Task) -> torch.Tensor:
    return _by_weights(task, task.settings.method)


def _edsr(task: _Task) -> torch.Tensor:
    factor = task.settings.factor or 2
    if f"edsr-x{factor}" not in names():
        raise ValueError(f"edsr is for --factor 2 or 4, got {factor}")
    return _by_weights(task, f"edsr-x{factor}")


def _by_weights(task: _Task, name: str) -> torch.Tensor:
    method = invnet.pretrained(name).to(task.settings.device)
    assert isinstance(method, invnet.Reconstructor)
    return _run(task, method)


def _run(task: _Task, method: invnet.Reconstructor) -> torch.Tensor:
    physics = invnet.Physics(task.operator, noise=invnet.noise.Gaussian(task.problem.sigma))
    image, info = method(task.y, physics, return_info=True)
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
