"""
Learn from measurements alone: photographs with dead pixels
===========================================================

A camera lost half of its pixels, and all photographs that it took have these holes, and noise. A network is trained on
nothing else: of the pixels that are there, some are hidden from it, and it learns to predict them. Then it fills in the
holes. Beside it, the same network trained with whole photographs, and a prior that needs no training. Run it by
``python examples/train/measurements_only.py --out measurements_only.png``; it takes about a minute.
"""

import argparse
import time

import torch

import invnet
import operators

SIZE = 192
NOISE = 0.03
TRAINING = ("astronaut", "brick", "cat", "coffee", "coins", "grass", "gravel", "moon", "rocket")
TEST = "camera"


class Photographs:
    """Patches of what the camera took, with the pixels that were there."""

    def __init__(self, photographs, physics, generator, whole):
        mask = physics.operator.mask.float()
        taken = [physics(x, generator=generator) for x in photographs]
        stacks = [torch.stack([x, y * mask, mask]) for x, y in zip(photographs, taken, strict=True)]
        self.patches = invnet.data.Patches(stacks, 48, per_image=100)
        self.whole = whole

    def __len__(self):
        return len(self.patches)

    def draw(self, index, generator):
        """A sample; the generator chooses the place."""
        x, y, mask = self.patches.draw(index, generator)
        return {"y": y, "mask": mask} | ({"x": x} if self.whole else {})


class Fill(invnet.Reconstructor):
    """A first guess: the mean of the pixels around, weighted by their distance."""

    def _reconstruct(self, y, physics):
        mask = physics.operator.mask.to(y.dtype)
        blur = operators.Convolution(invnet.data.gaussian_kernel(7, 1.0), y.shape[-2:], padding="same")
        filled = blur(mask * y) / blur(mask).clamp_min(1e-3)
        return torch.where(mask > 0, y, filled), invnet.Info()


def physics_of(tensors, generator):
    """The physics of a batch: its samples have masks of their own."""
    return invnet.Physics(operators.Mask(tensors["mask"]), noise=invnet.noise.Gaussian(NOISE))


def main():
    """Train both, print the table and draw the figure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", default="measurements_only.png", help="the figure's file")
    parser.add_argument("--steps", type=int, default=300, help="steps of training (default: 300)")
    arguments = parser.parse_args()

    generator = torch.Generator().manual_seed(0)
    dead = torch.rand(SIZE, SIZE, generator=generator) < 0.5
    physics = invnet.Physics(operators.Mask(~dead), noise=invnet.noise.Gaussian(NOISE))
    photographs = [invnet.data.sample_image(name, size=SIZE) for name in TRAINING]
    truth = invnet.data.sample_image(TEST, size=SIZE)
    y = physics.operator(physics(truth, generator=generator))
    losses = {"Measurements alone": invnet.losses.DataSplitting(0.3), "Whole photographs": invnet.losses.Supervised()}
    options = invnet.TrainOptions(steps=arguments.steps, batch_size=8, lr=2e-3, warmup=20, clip=1.0, ema=0.99)

    images, seconds = {"Truth": truth, "Measured": y}, {}
    start = time.perf_counter()
    images["Total variation"] = invnet.MAP(invnet.priors.TotalVariation(), 10.0)(y, physics)
    seconds["Total variation"] = time.perf_counter() - start
    images["Filled by neighbours"] = Fill()(y, physics)
    for name, loss in losses.items():
        torch.manual_seed(0)
        method = invnet.PostProcess(invnet.nets.UNet(width=12, depth=2, norm=None, residual=True), first=Fill())
        whole = isinstance(loss, invnet.losses.Supervised)
        data = Photographs(photographs, physics, torch.Generator().manual_seed(1), whole)
        start = time.perf_counter()
        invnet.train(method, data, loss, physics=physics_of, options=options)
        seconds[name] = time.perf_counter() - start
        with torch.no_grad():
            images[name] = method(y, physics).clamp(0, 1)

    print(f"{'':22}{'PSNR (dB)':>10}{'SSIM':>8}{'seconds':>9}")
    for name, image in list(images.items())[1:]:
        psnr, ssim = invnet.metrics.psnr(image, truth), invnet.metrics.ssim(image, truth)
        print(f"{name:22}{psnr:10.2f}{ssim:8.3f}{seconds.get(name, 0):9.1f}")
    invnet.plot.compare(images, reference="Truth", ssim=True, zoom=(20, 70, 60, 60), path=arguments.out)
    print(f"figure: {arguments.out}")


if __name__ == "__main__":
    main()
