"""A run that goes on from its checkpoint if there is one, for a test that kills it.

``python killed_run.py CHECKPOINT RESULT [STEPS]``: after so many steps it waits, so that it is not over before it is
killed, however fast it is.
"""

import itertools
import sys
import time

import torch

import invnet
from invnet.data import Patches


def main(checkpoint, result, steps=None):
    torch.set_num_threads(1)  # their number changes the order of sums
    torch.manual_seed(0)
    net = torch.nn.Sequential(invnet.nets.DnCNN(depth=3, width=8), torch.nn.Dropout(0.1))
    if steps is not None:
        calls = itertools.count()
        net.register_forward_pre_hook(lambda *_: time.sleep(3600) if next(calls) == int(steps) else None)
    images = torch.rand(3, 1, 32, 32)
    options = invnet.TrainOptions(
        steps=40,
        batch_size=4,
        precision="bfloat16",
        ema=0.9,
        clip=1.0,
        warmup=5,
        checkpoint_every=1,
        workers=1,
        progress=False,
    )
    invnet.train(
        net,
        Noisy(Patches(images, 16)),
        options=options,
        optimizer=lambda parameters: torch.optim.AdamW(parameters, lr=1e-3, amsgrad=True),
        checkpoint=checkpoint,
        resume=True,
    )
    torch.save(net.state_dict(), result)


class Noisy:
    """Patches and their noisy measurements, by the generator of each sample."""

    def __init__(self, patches):
        self.patches = patches

    def __len__(self):
        return len(self.patches)

    def draw(self, index, generator):
        x = self.patches.draw(index, generator)
        return {"x": x, "y": x + 0.1 * torch.randn(x.shape, generator=generator)}


if __name__ == "__main__":
    main(*sys.argv[1:])
