"""DnCNN: the residual denoiser of Zhang et al."""

from __future__ import annotations

import torch
from torch import nn

from invnet.nets.base import ConvNet, conv, normalization
from operators.checks import check_positive_int

__all__ = ["DnCNN"]


class DnCNN(ConvNet):
    """A stack of 3x3 convolutions that finds the noise in an image, which is then taken off it [1]_.

    The layers are convolution and ReLU; `depth` - 2 times convolution, batch normalisation and ReLU; convolution. The
    original networks have 17 layers (for one noise level, 556 096 parameters) and 20 (for many, 667 072).

    Parameters
    ----------
    in_channels : int
        Channels of the images: 1 for grey, 3 for colours.
    out_channels : int, optional
        By default as many. Only with ``residual=False`` may they differ.
    depth : int
        Layers, at least 2.
    width : int
        Channels between layers.
    dims : int
        Spatial dimensions: 1, 2 or 3.
    norm : {"batch", "instance", "group", None}
        The normalisation between layers. Without one, the convolutions have biases.
    residual : bool
        Whether the network finds the noise rather than the image.
    bias_free : bool
        Whether nothing is added anywhere, so that the network scales with the image and works for noise levels that it
        was not trained on [2]_. Batch normalisation then only divides by the standard deviation.
    noise_conditioned : bool
        Whether the noise level is one more channel of the input [3]_; call as ``net(x, sigma)``.

    Raises
    ------
    TypeError, ValueError
        If a parameter is out of its range; at the call, if the image's shape or type is wrong.

    References
    ----------
    .. [1] K. Zhang, W. Zuo, Y. Chen, D. Meng and L. Zhang, "Beyond a Gaussian denoiser: residual learning of deep CNN
       for image denoising", IEEE Trans. Image Process. 26, 2017.
    .. [2] S. Mohan, Z. Kadkhodaie, E. Simoncelli and C. Fernandez-Granda, "Robust and interpretable blind image
       denoising via bias-free convolutional neural networks", ICLR 2020.
    .. [3] K. Zhang, W. Zuo and L. Zhang, "FFDNet: toward a fast and flexible solution for CNN-based image denoising",
       IEEE Trans. Image Process. 27, 2018.

    Examples
    --------
    >>> net = DnCNN()
    >>> net(torch.zeros(1, 1, 8, 8)).shape
    torch.Size([1, 1, 8, 8])
    >>> sum(p.numel() for p in net.parameters())
    556096
    """

    def __init__(
        self,
        in_channels: int = 1,
        out_channels: int | None = None,
        depth: int = 17,
        width: int = 64,
        dims: int = 2,
        norm: str | None = "batch",
        residual: bool = True,
        bias_free: bool = False,
        noise_conditioned: bool = False,
    ) -> None:
        super().__init__(in_channels, out_channels or in_channels, dims, noise_conditioned)
        if check_positive_int(depth, self.name, "depth") < 2:
            raise ValueError(f"{self.name}: depth must be at least 2, got {depth}")
        if residual:
            self._check_residual()
        if bias_free and norm not in ("batch", None):
            raise ValueError(f"{self.name}: a bias-free network takes the norm batch or None, got {norm!r}")
        self.residual = residual
        width = check_positive_int(width, self.name, "width")
        biases = norm is None and not bias_free
        layers: list[nn.Module] = [
            conv(dims, self.in_channels + noise_conditioned, width, bias=not bias_free),
            nn.ReLU(inplace=True),
        ]
        for _ in range(depth - 2):
            layers += [conv(dims, width, width, bias=biases)]
            layers += normalization("bias-free" if bias_free and norm else norm, width, dims, self.name)
            layers += [nn.ReLU(inplace=True)]
        self.layers = nn.Sequential(*layers, conv(dims, width, self.out_channels, bias=biases))
        for layer in self.layers:
            if isinstance(layer, nn.Conv1d | nn.Conv2d | nn.Conv3d):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")

    def _net(self, x: torch.Tensor) -> torch.Tensor:
        result = self.layers(x)
        return x[:, : self.in_channels] - result if self.residual else result
