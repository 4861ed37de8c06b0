"""The most probable image by the model of a variational autoencoder."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import torch

from invnet.nets.on_images import joined_parts
from invnet.nets.vae import VAE
from invnet.optimize import Progress, descend
from invnet.physics import Physics
from invnet.reconstruct.base import Info, Reconstructor
from invnet.reconstruct.data_step import data_prox
from invnet.reconstruct.denoising import inference
from invnet.reconstruct.likelihood import total, value_and_gradient
from operators.checks import check_nonnegative, check_positive, check_positive_int

__all__ = ["LatentMAP"]


class LatentMAP(Reconstructor):
    r"""The most probable image x and latent variable z of a variational autoencoder, together [1]_.

    .. math::

        (\hat x, \hat z) = \arg\min_{x, z}\, -\log p(y \mid x)
            + \frac{\lVert x - G(z) \rVert^2}{2 s^2} + \frac{w}{2} \lVert z \rVert^2

    This is the autoencoder's own model of images: what its decoder G makes of standard normal z, and a normal deviation
    s from that. With w = 1 and the s that the network learned it is Bayes' own, and an image need not be one that the
    decoder can draw. With a deviation of 0, x is :math:`G(z)` itself [2]_: for generators that miss nothing.

    The search begins at the encoder's answer to the direct inverse, and with restarts also at random z, of which each
    sample keeps the best: the objective is not convex. The best x of a z is the proximal map of the likelihood at
    :math:`G(z)`, so that z alone is left to search for, by `invnet.optimize.descend`: no step raises the objective.

    Parameters
    ----------
    net : invnet.nets.VAE
        Trained on images of the kind sought, and of their range.
    strength : float
        w, positive.
    deviation : float, optional
        s, at least 0, in units of the image; by default the one that the network learned.
    restarts : int
        Searches from random latent variables, beside that from the encoder's.
    seed : int
        Of the restarts.
    max_iter : int
        Iterations of each search at most.
    tol : float
        A sample is done when a step is at most this, relative to the latent variable.
    progress : bool
        Whether to show a progress bar.

    Raises
    ------
    TypeError, ValueError
        If a parameter is out of its range; at the call, if the network does not take the image, or the noise and the
        sensor are none that a data step (or with a deviation of 0, a gradient) takes.
    FloatingPointError
        If the network gives NaN or infinities.

    Notes
    -----
    An image of one channel has only the spatial dimensions or has others as batch; more channels come before the
    spatial dimensions. Of complex images, real and imaginary part are two channels. The image carries no gradients.

    References
    ----------
    .. [1] M. González, A. Almansa and P. Tan, "Solving inverse problems by joint posterior maximization with
       autoencoding prior", SIAM J. Imaging Sci. 15, 2022.
    .. [2] A. Bora, A. Jalal, E. Price and A. Dimakis, "Compressed sensing using generative models", ICML 2017.

    Examples
    --------
    >>> import invnet, operators
    >>> physics = invnet.Physics(operators.AveragePool((16, 16), 2), invnet.noise.Gaussian(0.1))
    >>> net = invnet.nets.VAE(width=4, depth=2)
    >>> x, info = LatentMAP(net, max_iter=5)(torch.ones(3, 8, 8), physics, return_info=True)
    >>> x.shape, info.objective[-1] <= info.objective[0]
    (torch.Size([3, 16, 16]), True)
    """

    def __init__(
        self,
        net: VAE,
        strength: float = 1.0,
        deviation: float | None = None,
        restarts: int = 0,
        seed: int = 0,
        max_iter: int = 300,
        tol: float = 1e-3,
        progress: bool = False,
    ) -> None:
        super().__init__()
        if not isinstance(net, VAE):
            raise TypeError(f"LatentMAP: net takes an invnet.nets.VAE, got {type(net).__name__}")
        self.strength = check_positive(strength, self.name, "strength")
        if deviation is not None:
            check_nonnegative(deviation, self.name, "deviation")
        self.net, self.deviation, self.seed = net, deviation, seed
        self.restarts = check_positive_int(restarts, self.name, "restarts") if restarts else 0
        self.max_iter = check_positive_int(max_iter, self.name, "max_iter")
        self.tol, self.progress = check_nonnegative(tol, self.name, "tol"), progress

    def _reconstruct(self, y: torch.Tensor, physics: Physics) -> tuple[torch.Tensor, Info]:
        with torch.no_grad(), inference(self.net):
            x = physics.direct_inverse(y)
            door = _Door(self.net, x, len(physics.operator.in_shape))
            fit = self._fit(y, physics, len(door.batch))
            mean = self._finite("encoder", self.net.encode(door.inside(x))[0]).to(x.real.dtype)
            starts = [mean, *self._random_starts(mean)]
            found = [self._search(z.reshape(*door.batch, -1), fit, door) for z in starts]
            best, height, info = found[0]
            for z, reached, other in found[1:]:
                better = reached < height
                best = torch.where(better[..., None], z, best)
                height = torch.where(better, reached, height)
                info = other if bool(better.any()) else info
            return fit.image(self._decoded(best, door)), info

    def _fit(self, y: torch.Tensor, physics: Physics, batch: int) -> _ExactFit | _NearFit:
        deviation = self.deviation
        if deviation is None:
            deviation = self._finite("deviation", self.net.log_sigma.exp()).item()
        if deviation > 0:
            return _NearFit(data_prox(physics, y, batch, self.name), y, physics, batch, deviation)
        if physics.likelihood.lipschitz is None and physics.likelihood.has_prox:
            raise ValueError(
                f"LatentMAP: the gradient of the likelihood of {physics.likelihood.name} noise is of no use; a "
                "deviation above 0 needs none"
            )
        return _ExactFit(y, physics, batch)

    def _search(
        self, z: torch.Tensor, fit: _ExactFit | _NearFit, door: _Door
    ) -> tuple[torch.Tensor, torch.Tensor, Info]:
        def value(z: torch.Tensor) -> torch.Tensor:
            return fit.value(self._decoded(z, door)) + 0.5 * self.strength * z.square().sum(-1)

        def both(z: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            with torch.enable_grad():
                point = z.detach().requires_grad_()
                decoded = self._decoded(point, door)
            height, slope = fit.value_and_gradient(decoded.detach())
            (pull,) = torch.autograd.grad(decoded, point, slope)
            return height + 0.5 * self.strength * z.square().sum(-1), pull + self.strength * z

        title = self.name if self.progress else None
        progress = Progress(1, objective=value, tol=self.tol, max_iter=self.max_iter, title=title)
        z = descend(z, value, both, progress)
        return z, value(z), Info.of(progress)

    def _decoded(self, z: torch.Tensor, door: _Door) -> torch.Tensor:
        dtype = self.net.log_sigma.dtype
        return door.outside(self._finite("decoder", self.net.decode(z.reshape(-1, *door.latent_shape).to(dtype))))

    def _finite(self, part: str, result: torch.Tensor) -> torch.Tensor:
        bad = result.numel() - int(torch.isfinite(result.detach()).sum())
        if bad:
            raise FloatingPointError(
                f"LatentMAP: the network's {part} gave {bad} NaN or infinite of {result.numel()} entries"
            )
        return result

    def _random_starts(self, mean: torch.Tensor) -> Sequence[torch.Tensor]:
        generator = torch.Generator().manual_seed(self.seed)
        # The same for every sample, so that none depends on what else is in the batch.
        draws = [torch.randn(mean.shape[1:], generator=generator, dtype=mean.dtype) for _ in range(self.restarts)]
        return [draw.to(mean.device).expand(mean.shape) for draw in draws]

    def extra_repr(self) -> str:
        """The strength, the deviation and the restarts."""
        deviation = "the network's" if self.deviation is None else f"{self.deviation:g}"
        return f"strength={self.strength:g}, deviation={deviation}, restarts={self.restarts}"


@dataclasses.dataclass(frozen=True)
class _ExactFit:
    """How well an image that the decoder made explains the measurement."""

    y: torch.Tensor
    physics: Physics
    batch: int

    def value(self, decoded: torch.Tensor) -> torch.Tensor:
        return total(self.physics.negative_log_likelihood(decoded, self.y), self.batch)

    def value_and_gradient(self, decoded: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        height, slope = value_and_gradient(self.physics, decoded, self.y)
        return total(height, self.batch), slope

    def image(self, decoded: torch.Tensor) -> torch.Tensor:
        return decoded


@dataclasses.dataclass(frozen=True)
class _NearFit:
    """How well the best image near a decoded one does, and how near it is: the likelihood's Moreau envelope."""

    prox: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
    y: torch.Tensor
    physics: Physics
    batch: int
    deviation: float

    def value(self, decoded: torch.Tensor) -> torch.Tensor:
        return self.value_and_gradient(decoded)[0]

    def value_and_gradient(self, decoded: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        image, variance = self.image(decoded), self.deviation**2
        misfit = total(self.physics.negative_log_likelihood(image, self.y), self.batch)
        slope = (decoded - image) / variance
        return misfit + 0.5 * variance * total(slope.abs().square(), self.batch), slope

    def image(self, decoded: torch.Tensor) -> torch.Tensor:
        shape = decoded.shape[: self.batch]
        step = torch.full(shape, self.deviation**2, dtype=decoded.real.dtype, device=decoded.device)
        return self.prox(decoded, step)


class _Door:
    """Images of any batch dimensions, real or complex, as the network takes them, and back."""

    def __init__(self, net: VAE, x: torch.Tensor, image_dims: int) -> None:
        parts = 2 if x.is_complex() else 1
        self.channels = net.in_channels // parts
        count = net.dims + (self.channels > 1)
        if (
            net.in_channels % parts
            or x.ndim < count
            or (self.channels > 1 and x.shape[x.ndim - count] != self.channels)
        ):
            kind = "complex" if x.is_complex() else "real"
            raise ValueError(
                f"LatentMAP: the network has {net.in_channels} channels and {net.dims} spatial dimensions, which does "
                f"not fit {kind} images of shape {tuple(x.shape)}"
            )
        self.shape, self.dtype, self.is_complex = x.shape, x.dtype, x.is_complex()
        self.net_dtype = net.log_sigma.dtype
        self.latent_shape = net.latent_shape(tuple(x.shape[x.ndim - net.dims :]))
        # Dimensions of the operator that the network does not join are planes of one sample.
        self.batch = x.shape[: x.ndim - max(count, image_dims)]
        self.dims = net.dims

    def inside(self, x: torch.Tensor) -> torch.Tensor:
        images = x.reshape(-1, self.channels, *x.shape[x.ndim - self.dims :])
        if self.is_complex:
            images = torch.view_as_real(images.resolve_conj()).movedim(-1, 2).flatten(1, 2)
        return images.to(self.net_dtype)

    def outside(self, images: torch.Tensor) -> torch.Tensor:
        images = images.to(self.dtype.to_real() if self.is_complex else self.dtype)
        return (joined_parts(images, 1) if self.is_complex else images).reshape(self.shape)
