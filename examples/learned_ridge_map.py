"""
Learn a prior from photographs, then deblur and see through a scanner with it
=============================================================================

A weakly convex ridge regulariser is trained as a denoiser in a minute: its filters and its potential, a few hundred
numbers. Nothing of blur or tomography is in the training. Then it stands in the place of total variation in a maximum a
posteriori estimate. Run it by ``python examples/learned_ridge_map.py --out learned_ridge_map.png``.
"""

import argparse
import math
import time

import torch

import invnet
import operators

SIZE = 192
PATCH = 40


def patches(count, generator):
    """Random pieces of the photographs that are not the test's."""
    photographs = [invnet.data.sample_image(name) for name in ("astronaut", "coffee", "cat", "rocket")]
    while True:
        batch = []
        for _ in range(count):
            image = photographs[int(torch.randint(len(photographs), (), generator=generator))]
            row, column = (int(torch.randint(n - PATCH, (), generator=generator)) for n in image.shape)
            batch.append(image[row : row + PATCH, column : column + PATCH])
        yield torch.stack(batch)


def untrained():
    """A prior that begins with the cosine filters, and with a potential that grows like that of total variation."""
    prior = invnet.priors.WeaklyConvexRidge(channels=(24,), size=5)
    with torch.no_grad():
        prior.bank.filters[0].copy_(invnet.priors.FieldOfExperts(size=5).filters()[:, None])
        prior.rising.values.copy_(torch.linspace(-1, 1, 101).clamp(-0.08, 0.08))
        prior.log_mu.fill_(4.0)
    return prior


def train(steps, generator):
    """The prior, trained so that the most probable image behind a noisy one is near the clean one."""
    prior = untrained()
    denoise = invnet.priors.ProximalDenoiser(prior, tol=3e-3, max_iter=25)
    optimizer = torch.optim.Adam(prior.parameter_groups())
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda k: 0.5 + 0.5 * math.cos(math.pi * k / steps))
    for step, clean in zip(range(1, steps + 1), patches(6, generator), strict=False):
        sigma = 0.02 + 0.1 * torch.rand(len(clean), generator=generator)
        noisy = clean + sigma[:, None, None] * torch.randn(clean.shape, generator=generator)
        loss = (denoise(noisy, sigma) - clean).abs().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        if step % 20 == 0:
            print(f"step {step}: mean error {loss.item():.4f}", flush=True)
    return prior


def main():
    """Train, reconstruct with each prior, print the table and draw the figure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", default="learned_ridge_map.png", help="the figure (default: learned_ridge_map.png)")
    parser.add_argument("--steps", type=int, default=100, help="of training (default: 100)")
    options = parser.parse_args()

    generator = torch.Generator().manual_seed(0)
    start = time.perf_counter()
    prior = train(options.steps, generator)
    count = sum(p.numel() for p in prior.parameters())
    print(f"{count} parameters trained in {time.perf_counter() - start:.0f} s\n")

    truth = invnet.data.sample_image("camera", size=SIZE)
    blur = operators.Convolution(invnet.data.gaussian_kernel(9, 1.5), (SIZE, SIZE), padding="circular")
    scan = operators.ParallelBeam((SIZE, SIZE), torch.arange(60) * math.pi / 60)
    tasks = {
        "Denoising": invnet.Physics(operators.Identity((SIZE, SIZE)), invnet.noise.Gaussian(0.1)),
        "Blur": invnet.Physics(blur, invnet.noise.Gaussian(0.01)),
        "Tomography, 60 views": invnet.Physics(scan, invnet.noise.Gaussian(0.5)),
    }
    # The noise level and the strength are tuned for each task, as that of total variation is.
    choices = {
        "Total variation": [(invnet.priors.TotalVariation(), w) for w in (4.0, 8.0, 16.0)],
        "Learned ridge": [(prior.at(s), w) for s in (0.05, 0.1) for w in (0.1, 0.3, 1.0)],
    }
    rows = {}
    print(f"{'':24}{'prior':20}{'PSNR (dB)':>10}{'SSIM':>8}{'seconds':>9}")
    for task, physics in tasks.items():
        measurement = physics(truth, generator=generator)
        rows[task] = {"Truth": truth, "Direct inverse": physics.direct_inverse(measurement)}
        times = {"Direct inverse": 0.0}
        for name, candidates in choices.items():
            start = time.perf_counter()
            images = [invnet.MAP(candidate, strength)(measurement, physics) for candidate, strength in candidates]
            times[name] = (time.perf_counter() - start) / len(images)
            rows[task][name] = max(images, key=lambda image: invnet.metrics.psnr(image, truth).item())
        for name, seconds in times.items():
            psnr, ssim = (f(rows[task][name], truth) for f in (invnet.metrics.psnr, invnet.metrics.ssim))
            print(f"{task:24}{name:20}{psnr:10.2f}{ssim:8.3f}{seconds:9.2f}", flush=True)
    invnet.plot.compare(rows, reference="Truth", ssim=True, path=options.out)
    print(f"figure: {options.out}")


if __name__ == "__main__":
    main()
