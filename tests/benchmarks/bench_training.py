"""Training steps beside deepinv's Trainer: run with ``python tests/benchmarks/bench_training.py``."""

import contextlib
import io
import sys
import warnings
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parents[2]))

import invnet
from tests.benchmarks.harness import compare, environment
from tests.peers import deepinv

BATCH, SIZE, STEPS = 32, 40, 3
LEVEL = 25 / 255


def patches():
    """As many patches of photographs as the steps take."""
    images = [invnet.data.sample_image(name, size=256)[None] for name in ("camera", "cat", "coffee")]
    return invnet.data.Patches(images, SIZE, per_image=BATCH * STEPS // len(images))


def deepinv_run(data, **chosen):
    """deepinv's network of 17 layers, in its Trainer as that runs by default, but without pictures and prints."""
    library = deepinv()
    images = torch.stack([data[i] for i in range(len(data))])
    net = library.models.DnCNN(1, 1, depth=17, pretrained=None)
    model = library.models.ArtifactRemoval(net, mode="adjoint")
    physics = library.physics.Denoising(library.physics.GaussianNoise(LEVEL))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    def run():
        trainer = library.Trainer(
            model,
            physics,
            optimizer,
            torch.utils.data.DataLoader(list(images), BATCH, shuffle=True),
            epochs=1,
            online_measurements=True,
            save_path=None,
            plot_measurements=False,
            verbose=False,
            show_progress_bar=False,
            compare_no_learning=False,
            device="cpu",
            **chosen,
        )
        with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of 16 bits on a CPU
            trainer.train()

    return run


def our_run(data, norm="batch", **chosen):
    """Our network of 17 layers in our loop."""
    net = invnet.nets.DnCNN(norm=norm)
    options = invnet.TrainOptions(steps=STEPS, batch_size=BATCH, progress=False, **chosen)
    physics = invnet.data.GaussianLevels(LEVEL)
    return lambda: invnet.train(net, data, physics=physics, options=options)


def training_steps():
    """Denoising at one level, with noise made in each step."""
    data = patches()
    runs = {
        "deepinv: Trainer, DnCNN (no norm), float32": deepinv_run(data),
        "deepinv: the same, bfloat16": deepinv_run(data, mixed_precision="bfloat16"),
        "the same network, float32": our_run(data, norm=None),
        "the same network, bfloat16": our_run(data, norm=None, precision="bfloat16"),
        "batch norm, float32": our_run(data),
        "batch norm, bfloat16": our_run(data, precision="bfloat16"),
    }
    reference = next(iter(runs))
    compare(runs, reference, f"invnet.train, DnCNN of 17 layers, {STEPS} steps of {BATCH}x{SIZE}x{SIZE}", rounds=3)


def main():
    """Print the tables."""
    print(environment())
    training_steps()


if __name__ == "__main__":
    main()
