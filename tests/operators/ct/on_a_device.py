"""What the tests of the GPU's kernels share: data, and how far apart results are."""

import torch

__all__ = ["data", "error"]


def data(A, count, dtype, device):
    generator = torch.Generator().manual_seed(count)
    x = torch.randn(count, *A.in_shape, generator=generator, dtype=torch.float64)
    y = torch.randn(count, *A.out_shape, generator=generator, dtype=torch.float64)
    return x.to(device, dtype), y.to(device, dtype)


def error(got, expected):
    return ((got.double().cpu() - expected.double().cpu()).norm() / expected.double().norm()).item()
