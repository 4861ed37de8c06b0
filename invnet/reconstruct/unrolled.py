"""Iterations of fixed number with networks in them, trained as one."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import cast

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from invnet.nets.base import ConvNet
from invnet.nets.on_images import OnImages, applied, on_images
from invnet.physics import Physics
from invnet.reconstruct.base import Info, Reconstructor
from invnet.reconstruct.likelihood import damped_solve, lipschitz_constant, variance_of
from operators.checks import check_choice, check_positive, check_positive_int
from operators.solve import over_batch
from operators.solve.shared import peak

__all__ = ["Unrolled"]

# The scalars that training begins with.
_FIRST = {"proximal-gradient": 1.0, "variational": 1.0, "modl": 0.05, "itnet": 0.2, "hqs": 0.23}
_FIRST_LEVEL = 49 / 255  # of "hqs", for images of magnitude one, as of `PlugAndPlay`
_NOISE = 0.01  # of data whose noise is not known, over the operator's norm: neither little nor much
_LEAST = 1e-4  # what noise counts for at least, so that its logarithm is finite


class Unrolled(Reconstructor):
    r"""A few iterations of a splitting method with networks for the prior, trained end to end.

    From the direct inverse on, iteration k with the network :math:`N_k` is

    - "proximal-gradient" [1]_: ``x <- N_k(x - t_k grad f(x) / L)``;
    - "variational", a variational network [2]_: ``x <- x - t_k grad f(x) / L - N_k(x)``;
    - "modl" [3]_: ``z <- N_k(x)``, and x the minimiser of ``|A x - y|^2 + d_k |A|^2 |x - z|^2``, by the operator's
      `solve_normal`. Its gradients are implicit: one more solve, whatever the iterations of the first;
    - "itnet" [4]_: ``x <- N_k(x - t_k B(A x - y))``, where B is the operator's direct inverse in the place of the
      adjoint: for tomography, where the gradient hardly moves the high frequencies;
    - "hqs" [5]_, half-quadratic splitting as in `PlugAndPlay`: the minimiser z of
      ``|A z - y|^2 / v^2 + d_k |z - x|^2 / s_k^2``, and ``x <- m N_k(z / m, s_k / m)``. v is the standard deviation of
      Gaussian noise, and m the largest magnitude of the direct inverse, over all channels that the network joins. The
      level is ``s_k = m a_k (v / (0.01 m |A|))^b_k``: it follows the noise as much as is learned. The networks are
      denoisers that are told it, as a tensor of the batch's shape. Each iteration has its own d, a and b, with a shared
      network too. With a pretrained one, training begins as plug and play of so many iterations.

    f is the negative log-likelihood and L the Lipschitz constant of its gradient; for noise whose likelihood has none
    (counts, impulses), f is that of least squares. The scalars t (at first 1, of "itnet" 0.2), d (of "modl" at first
    0.05, of "hqs" 0.23), a (from 49/255 to 0.01) and b (from 0 to 1) are learned. "modl", "itnet" and "hqs" know least
    squares alone, without the sensor; for noise that is not Gaussian, or of several deviations, "hqs" takes v for
    ``0.01 m |A|``.

    Parameters
    ----------
    nets : torch.nn.Module or sequence of torch.nn.Module
        One network that all iterations share, or one for each. Networks of `invnet.nets` are fitted to batches and
        complex images by `invnet.nets.OnImages`, which fits others too.
    iterations : int, optional
        With one network; by default 8.
    method : {"proximal-gradient", "variational", "modl", "itnet", "hqs"}
    norm : float, optional
        The operator's norm ``|A|``. Without, it is asked of the operator, which keeps it, unless it is a user's own
        or learnable and finds it by iteration (`operators.LinearOperator.norm`): in each call, that takes longer than
        the rest.
    checkpointing : bool
        Whether the backward pass computes each iteration once more rather than to remember what is within it: the
        memory of one iteration instead of all.

    Raises
    ------
    TypeError, ValueError
        If a parameter is out of its range; at the call, if a network does not take the image or gives another shape.

    References
    ----------
    .. [1] M. Mardani et al., "Neural proximal gradient descent for compressive imaging", NeurIPS 2018.
    .. [2] K. Hammernik et al., "Learning a variational network for reconstruction of accelerated MRI data", Magn.
       Reson. Med. 79, 2018; with networks as in A. Sriram et al., "End-to-end variational networks for accelerated MRI
       reconstruction", MICCAI 2020.
    .. [3] H. Aggarwal, M. Mani and M. Jacob, "MoDL: model-based deep learning architecture for inverse problems", IEEE
       Trans. Med. Imaging 38, 2019.
    .. [4] M. Genzel, I. Gühring, J. Macdonald and M. März, "Near-exact recovery for tomographic inverse problems via
       deep learning", ICML 2022.
    .. [5] K. Zhang, L. Van Gool and R. Timofte, "Deep unfolding network for image super-resolution", CVPR 2020.

    Examples
    --------
    >>> import invnet, operators
    >>> physics = invnet.Physics(operators.AveragePool((16, 16), 2), noise=invnet.noise.Gaussian(0.1))
    >>> reconstruct = Unrolled(invnet.nets.DnCNN(depth=3, width=4), iterations=3)
    >>> reconstruct(torch.ones(5, 8, 8), physics).shape
    torch.Size([5, 16, 16])
    """

    def __init__(
        self,
        nets: nn.Module | Sequence[nn.Module],
        iterations: int | None = None,
        method: str = "proximal-gradient",
        norm: float | None = None,
        checkpointing: bool = False,
    ) -> None:
        super().__init__()
        shared = callable(nets) and not isinstance(nets, nn.ModuleList)
        given = [nets] if shared else list(cast(Sequence[nn.Module], nets))
        if not given or not all(isinstance(net, nn.Module) for net in given):
            kinds = ", ".join(type(net).__name__ for net in given) or "none"
            raise TypeError(f"Unrolled: nets takes a torch.nn.Module or a sequence of them, got {kinds}")
        if not shared and iterations not in (None, len(given)):
            raise ValueError(f"Unrolled: {len(given)} networks are for as many iterations, got iterations={iterations}")
        count = 8 if shared and iterations is None else iterations or len(given) * (not shared)
        count = check_positive_int(count, self.name, "iterations")
        if norm is not None:
            check_positive(norm, self.name, "norm")
        self.nets = nn.ModuleList(cast(nn.Module, on_images(cast(nn.Module, net))) for net in given)
        inner = [net.net if isinstance(net, OnImages) else net for net in given]
        if method == "hqs" and any(isinstance(net, ConvNet) and not net.noise_conditioned for net in inner):
            raise ValueError("Unrolled: hqs takes networks that are told the noise level (noise_conditioned=True)")
        self.iterations, self.norm, self.checkpointing = count, norm, checkpointing
        self.method = check_choice(method, _FIRST, self.name, "method")
        # By their logarithm, for they are positive; one for all iterations if the network is and has no levels.
        scalars = count if method == "hqs" else len(given)
        self.log_scalars = nn.Parameter(torch.full((scalars,), _FIRST[method]).log())
        if method == "hqs":
            shares = torch.linspace(0, 1, count)
            self.log_levels = nn.Parameter(math.log(_FIRST_LEVEL) + shares * math.log(_NOISE / _FIRST_LEVEL))
            self.noise_shares = nn.Parameter(shares)

    def _reconstruct(self, y: torch.Tensor, physics: Physics) -> tuple[torch.Tensor, Info]:
        x = physics.direct_inverse(y)
        if self.method == "hqs":
            size = peak(x.detach(), self._image_dims(x, physics))
            noise = self._noise(y, physics, size)
            unit, data_unit = (over_batch(size, tuple(t.shape[size.ndim :])) for t in (x, y))
            x = unit * self._iterated(self._hqs, x / unit, y / data_unit, physics, noise)
        elif self.method == "modl":
            x = self._iterated(self._modl, x, y, physics, self._size(physics) ** 2)
        elif self.method == "itnet":
            x = self._iterated(self._itnet, x, y, physics, torch.ones(()))
        else:
            physics = physics if physics.likelihood.lipschitz is not None else _least_squares(physics)
            x = self._iterated(self._descend, x, y, physics, self._step(x, y, physics))
        return x, Info(iterations=self.iterations)

    def _iterated(
        self,
        iterate: Callable[..., torch.Tensor],
        x: torch.Tensor,
        y: torch.Tensor,
        physics: Physics,
        unit: torch.Tensor,
    ) -> torch.Tensor:
        for k in range(self.iterations):
            if self.checkpointing and torch.is_grad_enabled():
                x = checkpoint(iterate, x, y, physics, unit, k, use_reentrant=False)
            else:
                x = iterate(x, y, physics, unit, k)
        return x

    def _descend(self, x: torch.Tensor, y: torch.Tensor, physics: Physics, unit: torch.Tensor, k: int) -> torch.Tensor:
        """An iteration of proximal gradients or of a variational network."""
        step = self._scalar(k).to(unit.dtype) * unit
        descent = over_batch(step, tuple(x.shape[step.ndim :])) * physics.likelihood_gradient(x, y)
        if self.method == "variational":
            return x - descent - self._run(x, k)
        return self._run(x - descent, k)

    def _modl(self, x: torch.Tensor, y: torch.Tensor, physics: Physics, unit: torch.Tensor, k: int) -> torch.Tensor:
        damping = self._scalar(k) * unit
        return damped_solve(physics.operator, y)(self._run(x, k), damping.to(x.real.dtype))

    def _hqs(self, x: torch.Tensor, y: torch.Tensor, physics: Physics, noise: torch.Tensor, k: int) -> torch.Tensor:
        relative = noise / (_NOISE * self._size(physics).to(noise))
        level = (self.log_levels[k] + self.noise_shares[k] * relative.log()).exp()
        damping = self._scalar(k) * (noise / level) ** 2
        inner = tuple(x.shape[noise.ndim : x.ndim - len(physics.operator.in_shape)])
        z = damped_solve(physics.operator, y)(x, over_batch(damping, inner).to(x.real.dtype))
        return self._run(z, k, level.to(x.real.dtype))

    def _noise(self, y: torch.Tensor, physics: Physics, size: torch.Tensor) -> torch.Tensor:
        """The deviation of the noise for each sample, as the image's largest magnitude becomes one."""
        norm = self._size(physics).to(size)
        variance = None if physics.noise is None else variance_of(physics, y, size.ndim)
        if variance is None:
            return _NOISE * norm.expand(size.shape)
        return (variance.sqrt() / size).clamp_min(_LEAST * norm)

    def _itnet(self, x: torch.Tensor, y: torch.Tensor, physics: Physics, _: torch.Tensor, k: int) -> torch.Tensor:
        step = self._scalar(k).to(x.real.dtype)
        return self._run(x - step * physics.direct_inverse(physics.operator(x) - y), k)

    def _run(self, x: torch.Tensor, k: int, *level: torch.Tensor) -> torch.Tensor:
        result = applied(self.nets[k % len(self.nets)], x, *level, owner="Unrolled")
        if not isinstance(result, torch.Tensor) or result.shape != x.shape:
            got = tuple(result.shape) if isinstance(result, torch.Tensor) else type(result).__name__
            raise ValueError(
                f"Unrolled: network {k} took {tuple(x.shape)} and must give the same shape, but gave {got}"
            )
        return result

    def _scalar(self, k: int) -> torch.Tensor:
        return self.log_scalars[k % len(self.log_scalars)].exp()

    def _size(self, physics: Physics) -> torch.Tensor:
        return physics.operator.norm() if self.norm is None else torch.tensor(self.norm)

    def _step(self, x: torch.Tensor, y: torch.Tensor, physics: Physics) -> torch.Tensor:
        """The largest step that surely descends, for each sample."""
        lipschitz = lipschitz_constant(physics, x, y, x.ndim - self._image_dims(x, physics), self.norm)
        assert lipschitz is not None  # `_reconstruct` took care of it
        return 1 / lipschitz

    def _image_dims(self, x: torch.Tensor, physics: Physics) -> int:
        """How many trailing dimensions make up an image: the operator's, and the channels that a network joins."""
        dims, first = len(physics.operator.in_shape), self.nets[0]
        if not isinstance(first, OnImages):
            return dims
        first.check_image(x)
        return max(dims, first.image_dims(x.is_complex()))

    def extra_repr(self) -> str:
        """The method, the iterations, and whether they share a network."""
        shared = len(self.nets) < self.iterations
        return f"method={self.method!r}, iterations={self.iterations}, {'one network' if shared else 'a network each'}"


def _least_squares(physics: Physics) -> Physics:
    return Physics(physics.operator, sensor=physics.sensor)
