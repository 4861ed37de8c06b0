"""Draws the figures of the explanations: ``python docs/draw_explanations.py`` writes them to ``docs/_static``."""

import math
from pathlib import Path

import matplotlib

matplotlib.use("agg")
import matplotlib.pyplot as plt
import torch

import invnet
import operators

matplotlib.rcParams |= {"svg.hashsalt": "explanations", "font.size": 10, "font.family": "sans-serif"}

STATIC = Path(__file__).parent / "_static"
BLUE, RED = "#1f5fa8", "#b3352b"


def parallel_beam(size, views):
    """Views over half a turn."""
    return operators.ParallelBeam((size, size), torch.arange(views, dtype=torch.float64) * math.pi / views)


def draw_adjoint_and_inverse():
    """An image, its sinogram, the backprojection of that, and its filtered backprojection."""
    x = invnet.data.ct_slice()[None, None].float()
    x = torch.nn.functional.interpolate((x - x.min()) / (x.max() - x.min()), (128, 128), mode="area")[0, 0]
    A = parallel_beam(128, 120)
    sinogram = A(x)
    invnet.plot.compare(
        {
            "Image x": x,
            "Data A x": sinogram / sinogram.max(),
            "Adjoint A.H A x, scaled": A.gram(x) / A.gram(x).max(),
            "Direct inverse of A x": A.direct_inverse(sinogram),
        },
        data_columns=["Data A x"],
        path=STATIC / "adjoint_and_inverse.png",
    )


def interpolating_backprojection(A, angles):
    """The matrix that asks each pixel for its place on the detector, and interpolates there."""
    size, detectors = A.in_shape[0], A.out_shape[1]
    along = torch.arange(size, dtype=torch.float64) - (size - 1) / 2
    place = along * angles.cos()[:, None, None] - along[:, None] * angles.sin()[:, None, None] + (detectors - 1) / 2
    distance = (place[..., None] - torch.arange(detectors)).abs()
    return (1 - distance).clamp_min(0).permute(1, 2, 0, 3).reshape(size**2, -1)


def residuals(A, B, y, iterations):
    """Of conjugate gradients on the normal equations, in which B stands for the adjoint of the matrix A."""
    x, r = torch.zeros(A.shape[1], dtype=y.dtype), y
    p = s = B @ r
    history = []
    for _ in range(iterations):
        step = s.square().sum() / (A @ p).square().sum()
        x, r = x + step * p, r - step * (A @ p)
        last, s = s, B @ r
        p = s + s.square().sum() / last.square().sum() * p
        history.append(((A @ x - y).norm() / y.norm()).item())
    return history


def draw_nearly_right():
    """What becomes of conjugate gradients."""
    operator = parallel_beam(48, 45)
    angles = torch.arange(45, dtype=torch.float64) * math.pi / 45
    A = operator.to_matrix()
    B = interpolating_backprojection(operator, angles)
    y = A @ invnet.data.sample_image("camera", size=48).double().flatten()
    print(f"the interpolating backprojection differs by {((B - A.T) @ y).norm() / (A.T @ y).norm():.1%} for these data")
    figure, axes = plt.subplots(figsize=(6.4, 3.4), layout="constrained")
    for name, adjoint, color in [("exact adjoint", A.T, BLUE), ("interpolating backprojection", B, RED)]:
        history = residuals(A, adjoint, y, 300)
        print(f"{name}: {history[-1]:.1e} of the data is left after {len(history)} iterations")
        axes.loglog(range(1, len(history) + 1), history, color=color, label=name)
    axes.set(xlabel="iteration of conjugate gradients", ylabel="|A x - y| / |y|")
    axes.legend(frameon=False)
    axes.grid(alpha=0.3)
    figure.savefig(STATIC / "nearly_an_adjoint.svg", metadata={"Date": None})


def draw_priors():
    """One measurement, and what different priors make of it."""
    x = invnet.data.sample_image("camera", size=192)
    generator = torch.Generator().manual_seed(0)
    A = operators.Convolution(invnet.data.gaussian_kernel(9, 1.5), x.shape, padding="circular")
    physics = invnet.Physics(A, noise=invnet.noise.Gaussian(0.03))
    y = physics(x, generator=generator)
    methods = {
        "no prior": lambda: operators.solve.lstsq(A, y, damping=1e-4),
        "smooth: Tikhonov": lambda: invnet.MAP(invnet.priors.Tikhonov(), 20.0)(y, physics),
        "few edges: TV": lambda: invnet.MAP(invnet.priors.TotalVariation(), 9.0)(y, physics),
        "a trained denoiser": lambda: invnet.PlugAndPlay(invnet.pretrained("denoiser-gray"))(y, physics),
    }
    columns = {"truth": x, "measurement": y} | {name: make() for name, make in methods.items()}
    invnet.plot.compare(columns, reference="truth", zoom=(20, 75, 48, 48), panel_width=1.4, path=STATIC / "priors.png")


def draw_residual():
    """What a network after filtered backprojection has to learn."""
    x = invnet.data.ct_slice()[None, None].float()
    x = torch.nn.functional.interpolate((x - x.min()) / (x.max() - x.min()), (160, 160), mode="area")[0, 0]
    A = parallel_beam(160, 30)
    first = A.direct_inverse(A(x))
    print(f"standard deviation of the image {x.std():.3f}, of the residual {(x - first).std():.3f}")
    invnet.plot.compare(
        {"Image x": x, "Filtered backprojection, 30 views": first, "Residual x - FBP, grey is zero": 0.5 + (x - first)},
        panel_width=2.8,
        path=STATIC / "residual.png",
    )


if __name__ == "__main__":
    draw_adjoint_and_inverse()
    draw_nearly_right()
    draw_priors()
    draw_residual()
