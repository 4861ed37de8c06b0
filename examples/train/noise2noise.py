"""
Noise2Noise: learn to denoise from noisy photographs alone
==========================================================

One network is trained with clean photographs. Another never sees one: only two noisy copies of each, and it learns to
predict the second from the first. As the second's noise can't be predicted, both learn the same. Run it by
``python examples/train/noise2noise.py --out noise2noise.png``; it takes less than a minute.
"""

import argparse
import time

import torch

import invnet
import operators

SIZE = 192
NOISE = 0.1
TRAINING = ("astronaut", "brick", "cat", "coffee", "coins", "grass", "gravel", "moon", "rocket")
TEST = "camera"


class NoisyPatches:
    """Patches of photographs, each with two noisy copies that are the same at each visit."""

    def __init__(self, photographs, physics, generator, clean):
        copies = [[physics(x, generator=generator) for _ in range(2)] for x in photographs]
        stacks = [torch.stack([x, *noisy]) for x, noisy in zip(photographs, copies, strict=True)]
        self.patches = invnet.data.Patches(stacks, 40, per_image=100)
        self.clean = clean

    def __len__(self):
        return len(self.patches)

    def draw(self, index, generator):
        """A sample; the generator chooses the place."""
        x, first, second = self.patches.draw(index, generator)
        return {"x": x, "y": first} if self.clean else {"y": first, "second": second}


def main():
    """Train both, print the table and draw the figure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", default="noise2noise.png", help="the figure's file (default: noise2noise.png)")
    parser.add_argument("--steps", type=int, default=300, help="steps of training (default: 300)")
    arguments = parser.parse_args()

    physics = invnet.Physics(operators.Identity((SIZE, SIZE)), noise=invnet.noise.Gaussian(NOISE))
    photographs = [invnet.data.sample_image(name, size=SIZE) for name in TRAINING]
    truth = invnet.data.sample_image(TEST, size=SIZE)
    noisy = physics(truth, generator=torch.Generator().manual_seed(1))
    images = {"Truth": truth, "Noisy": noisy}
    losses = {"Trained on photographs": invnet.losses.Supervised(), "Noise2Noise": invnet.losses.Noise2Noise()}
    options = invnet.TrainOptions(steps=arguments.steps, batch_size=16, lr=2e-3, clip=1.0, ema=0.99)

    print(f"{'':26}{'PSNR (dB)':>10}{'SSIM':>8}{'seconds':>9}")
    seconds = {}
    for name, loss in losses.items():
        torch.manual_seed(0)
        net = invnet.nets.DnCNN(depth=6, width=24, norm=None)
        clean = isinstance(loss, invnet.losses.Supervised)
        data = NoisyPatches(photographs, physics, torch.Generator().manual_seed(0), clean)
        start = time.perf_counter()
        invnet.train(net, data, loss, options=options)
        seconds[name] = time.perf_counter() - start
        with torch.no_grad():
            images[name] = invnet.PostProcess(net)(noisy, physics).clamp(0, 1)
    for name, image in list(images.items())[1:]:
        psnr, ssim = invnet.metrics.psnr(image, truth), invnet.metrics.ssim(image, truth)
        print(f"{name:26}{psnr:10.2f}{ssim:8.3f}{seconds.get(name, 0):9.1f}")
    invnet.plot.compare(images, reference="Truth", ssim=True, zoom=(20, 70, 60, 60), path=arguments.out)
    print(f"figure: {arguments.out}")


if __name__ == "__main__":
    main()
