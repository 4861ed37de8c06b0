"""Small models and data whose best weights are known."""

import torch
from torch import nn

from invnet import TrainOptions
from invnet.nets import DnCNN


def random(*shape, seed=0, dtype=torch.float32):
    return torch.randn(shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


class Scale(nn.Module):
    """One weight that multiplies the image."""

    in_channels, dims = 1, 1

    def __init__(self, value=0.0):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(value))

    def forward(self, x, sigma=None):
        return self.weight * x


def options(steps=200, **changed):
    return TrainOptions(**{"steps": steps, "batch_size": 64, "lr": 0.05, "progress": False, **changed})


def small_net(seed=0, **changed):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return DnCNN(**{"depth": 3, "width": 6, **changed})


def weights(model):
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def same(first, second):
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)
