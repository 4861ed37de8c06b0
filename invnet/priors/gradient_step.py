"""Denoisers that are gradient steps, and the prior whose gradient they step along."""

from __future__ import annotations

import torch

from invnet.nets.on_images import OnImages
from invnet.priors.smooth import SmoothPrior, check_level, per_sample
from operators.solve import over_batch

__all__ = ["GradientStep"]


class GradientStep(SmoothPrior):
    r"""The prior of a denoiser that is a gradient step on a potential made of a network [1]_.

    .. math::

        g_s(x) = \tfrac12 \lVert x - N(x, s) \rVert^2, \qquad D_s = \mathrm{Id} - \nabla g_s, \qquad R = g_s / s^2

    N is any network, trained so that the denoiser D (`denoise`) denoises. Then D is not a heuristic in a splitting
    method: it is a step down R, and the iteration minimises ``-log p(y | x) + strength R(x)``, which it lowers in
    every step and comes to a stationary point of. With D the mean of clean images given the noisy one,
    R is -log of the density of noisy images (Tweedie's formula), for a strength of 1.

    Parameters
    ----------
    net : torch.nn.Module
        Called as ``net(x, sigma)``, from images to images of the same shape; a network of `invnet.nets` or an
        `invnet.nets.OnImages` around another. One of an even number of channels is for complex images. Its gradient
        exists wherever its activations have one: with smooth ones (ELU in [1]_) everywhere.
    sigma : float or torch.Tensor
        The noise level s, in units of the image; a tensor has the shape of the batch or of its first dimensions.
    tol, max_iter
        Of `prox`: see `SmoothPrior`.

    Raises
    ------
    TypeError, ValueError
        If the net is none, or sigma is not positive; at the call, if an image does not have the network's channels, or
        the network gives another shape.

    Notes
    -----
    The network should be in evaluation mode: batch statistics would make the penalty of an image depend on others.

    References
    ----------
    .. [1] S. Hurault, A. Leclaire and N. Papadakis, "Gradient step denoiser for convergent plug-and-play", ICLR 2022.

    Examples
    --------
    >>> import invnet
    >>> prior = GradientStep(invnet.nets.DnCNN(depth=3, width=4, norm=None), sigma=0.1)
    >>> x = torch.rand(5, 16, 16)
    >>> bool(torch.allclose(prior.denoise(x), x - 0.1**2 * prior.gradient(x), atol=1e-5))
    True
    """

    sigma: float | torch.Tensor

    def __init__(
        self, net: torch.nn.Module, sigma: float | torch.Tensor = 0.1, tol: float = 1e-5, max_iter: int = 500
    ) -> None:
        if not isinstance(net, torch.nn.Module):
            raise TypeError(f"{self.name}: net takes a torch.nn.Module, got {type(net).__name__}")
        door = net if isinstance(net, OnImages) else OnImages(net)
        super().__init__(door.image_dims(is_complex=door.complex_as == "channels"), tol, max_iter)
        self.spatial_dims = door.dims
        self.net, self.sigma = door, check_level(sigma, self.name)

    def denoise(self, x: torch.Tensor, sigma: float | torch.Tensor | None = None) -> torch.Tensor:
        """The denoiser ``D(x) = x - grad g(x)``, to train, or for `invnet.PlugAndPlay`.

        Parameters
        ----------
        x : torch.Tensor, shape ``(*batch, *image)``
        sigma : float or torch.Tensor, optional
            The noise level; by default the prior's own.

        Returns
        -------
        torch.Tensor, shape ``(*batch, *image)``
        """
        prior = self if sigma is None else self.at(sigma)
        slope = prior.gradient(x)
        return x - over_batch(prior._variance(x), tuple(x.shape[x.ndim - self.dims :])) * slope

    def _value(self, x: torch.Tensor) -> torch.Tensor:
        result = self.net(x, self.sigma)
        if result.shape != x.shape:
            raise ValueError(
                f"{self.name}: the network took {tuple(x.shape)} and must give the same shape, "
                f"but gave {tuple(result.shape)}"
            )
        squares = (x - result).abs().square().flatten(x.ndim - self.dims).sum(-1)
        return 0.5 * squares / self._variance(x)

    def _variance(self, x: torch.Tensor) -> torch.Tensor:
        """The squared noise level of each sample."""
        return per_sample(self.sigma, x, self.dims, self.name) ** 2

    def extra_repr(self) -> str:
        """The noise level."""
        return f"sigma={self.sigma if isinstance(self.sigma, float) else tuple(self.sigma.shape)}"
