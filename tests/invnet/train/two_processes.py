"""Runs in two processes, which Lightning Fabric starts: ``python two_processes.py FOLDER``."""

import sys
from pathlib import Path

import torch
from lightning_fabric import Fabric

import invnet
from invnet.data import GaussianLevels, Pairs
from invnet.losses import SURE, Adversarial, Supervised
from tests.invnet.train.models import Scale, random, small_net

KINDS = ("supervised", "adversarial")


def loss_and_data(kind, seed):
    """What needs no randomness in training."""
    x, y = random(12, 1, 9, 9, dtype=torch.float64), random(12, 1, 9, 9, seed=1, dtype=torch.float64)
    if kind == "adversarial":
        with torch.random.fork_rng():
            torch.manual_seed(seed)  # the first process's counts
            return Adversarial(torch.nn.Sequential(torch.nn.Flatten(), Odds(81)).double(), 0.5, lr=0.05), Pairs(x, y)
    return Supervised(), Pairs(x, y)


class Odds(torch.nn.Linear):
    def __init__(self, size):
        super().__init__(size, 1)

    def forward(self, x):
        return super().forward(x)[:, 0]


def run(kind, folder, fabric=None):
    """Train, and keep the weights, the losses and what a validation gave."""
    path = Path(folder) / f"{kind}, {'one' if fabric is None else 'two'}.pt"
    net = small_net(norm=None).double()
    loss, data = loss_and_data(kind, 0 if fabric is None else fabric.global_rank)
    options = invnet.TrainOptions(
        steps=6, batch_size=4, clip=0.5, ema=0.5, validate_every=2, checkpoint_every=2, progress=False
    )
    result = invnet.train(
        net,
        data,
        loss,
        validation=Pairs(random(3, 1, 7, 7).double(), random(3, 1, 7, 7).double()),
        options=options,
        optimizer=lambda parameters: torch.optim.SGD(parameters, lr=0.1, momentum=0.9),
        checkpoint=path.with_suffix(".checkpoint"),
        fabric=fabric,
    )
    if fabric is None or fabric.global_rank == 0:
        torch.save({"weights": net.state_dict(), "losses": result.losses, "validations": result.validations}, path)


def main(folder):
    fabric = Fabric(accelerator="cpu", devices=2, strategy="ddp")
    fabric.launch()
    assert fabric.world_size == 2
    for kind in KINDS:
        run(kind, folder, fabric)
    # Noise of its own in each process.
    result = invnet.train(
        Scale(),
        torch.zeros(8, 4),
        SURE(),
        physics=GaussianLevels(1.0),
        options=invnet.TrainOptions(steps=1, batch_size=8, progress=False),
        fabric=fabric,
    )
    assert len(result.losses) == 1


if __name__ == "__main__":
    main(*sys.argv[1:])
