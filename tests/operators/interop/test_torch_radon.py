"""torch-radon's interface: its geometry as documented, its filters by their formula, scripts as its users write."""

import math
import sys

import numpy as np
import pytest
import torch

from operators import FanBeam as OurFan
from operators import ParallelBeam as OurParallel
from operators.interop import torch_radon
from operators.interop.torch_radon import Radon, RadonFanbeam, Volume2D, solvers
from operators.interop.torch_radon.filtering import FILTERS

SIZE = 96
ELLIPSES = [  # value, centre to the right and down, half axes, turn
    (1.0, 9.0, -14.0, 20.0, 11.0, 0.3),
    (0.5, -12.0, 7.0, 9.0, 24.0, -0.8),
    (-0.3, 3.0, 16.0, 7.0, 6.0, 0.0),
]


def in_ellipse(x, y, ellipse):
    """Coordinates in which the ellipse is the unit circle; y runs down, as the rows of torch-radon's images."""
    _, cx, cy, a, b, turn = ellipse
    u, v = x - cx, y - cy
    return (math.cos(turn) * u + math.sin(turn) * v) / a, (-math.sin(turn) * u + math.cos(turn) * v) / b


def image(size=SIZE, fine=8):
    """The ellipses averaged over pixels."""
    place = (np.arange(size * fine) + 0.5) / fine - size / 2
    y, x = np.meshgrid(place, place, indexing="ij")
    total = sum(e[0] * (np.hypot(*in_ellipse(x, y, e)) <= 1) for e in ELLIPSES)
    return torch.tensor(total.reshape(size, fine, size, fine).mean((1, 3)))


def line_integrals(start, end):
    """Of the ellipses along lines from `start` to `end`, arrays (..., 2) of (x, y)."""
    total = 0.0
    for e in ELLIPSES:
        p = np.stack(in_ellipse(start[..., 0], start[..., 1], e), -1)
        q = np.stack(in_ellipse(end[..., 0], end[..., 1], e), -1)
        d = q - p
        a, b, c = (d * d).sum(-1), (p * d).sum(-1), (p * p).sum(-1) - 1
        chord = 2 * np.sqrt(np.maximum(b * b - a * c, 0)) / a
        total = total + e[0] * chord * np.linalg.norm(end - start, axis=-1)
    return total


def rays(angles, det_count, det_spacing, source=None, detector=None):
    """Both ends of each ray as torch-radon's documentation draws them.

    At angle zero the source is below the image (y runs down), the detector above, numbered from the left; angles turn
    both counter-clockwise as the image is seen, which torch-radon says conforms to ASTRA and scikit-image.
    """
    s = (np.arange(det_count) - det_count / 2 + 0.5) * det_spacing
    far = 4.0 * SIZE
    ends = np.stack([s, np.full_like(s, -far if detector is None else -detector)], -1)
    starts = np.stack([s, np.full_like(s, far)], -1) if source is None else np.stack([0 * s, 0 * s + source], -1)
    cos, sin = np.cos(angles)[:, None], np.sin(angles)[:, None]

    def turned(p):  # counter-clockwise, with y downwards
        return np.stack([cos * p[:, 0] + sin * p[:, 1], -sin * p[:, 0] + cos * p[:, 1]], -1)

    return turned(starts), turned(ends)


def relative(got, expected):
    return np.linalg.norm(np.asarray(got) - expected) / np.linalg.norm(expected)


def assert_is(sinogram, expected):
    """But for the pixels' edges, and not one seen in a mirror, turned the other way, or beside its place."""
    assert relative(sinogram, expected) < 0.025
    for other in (expected[:, ::-1], expected[::-1], np.roll(expected, 1, 1), np.roll(expected, 1, 0)):
        assert relative(sinogram, other) > 0.05


ANGLES = np.linspace(0, 2 * np.pi, 40, endpoint=False)


@pytest.mark.parametrize("det_spacing", [1.0, 0.6])
def test_parallel_sinogram_of_ellipses(det_spacing):
    count = int(SIZE / det_spacing)
    expected = line_integrals(*rays(ANGLES, count, det_spacing))
    for beam in (
        Radon(SIZE, ANGLES, det_count=count, det_spacing=det_spacing),
        torch_radon.ParallelBeam(count, ANGLES, det_spacing),
    ):
        assert_is(beam.forward(image()), expected)


@pytest.mark.parametrize("distances", [(150.0, 150.0), (120.0, 40.0)])
def test_fan_sinogram_of_ellipses(distances):
    source, detector = distances
    count, spacing = 160, 1.3
    expected = line_integrals(*rays(ANGLES, count, spacing, source, detector))
    for beam in (
        RadonFanbeam(SIZE, ANGLES, source, detector, count, spacing),
        torch_radon.FanBeam(count, ANGLES, source, detector, spacing),
    ):
        assert_is(beam.forward(image()), expected)


@pytest.mark.parametrize("kind", ["parallel", "fan"])
def test_volumes_of_version_2_lie_where_they_say(kind):
    volume = Volume2D(center=(6.0, -11.0), voxel_size=(1.0, 1.0))
    if kind == "parallel":
        beam, ends = torch_radon.ParallelBeam(150, ANGLES, volume=volume), rays(ANGLES, 150, 1.0)
    else:
        beam = torch_radon.FanBeam(150, ANGLES, 200.0, 100.0, 1.5, volume=volume)
        ends = rays(ANGLES, 150, 1.5, 200.0, 100.0)
    expected = line_integrals(*(end - np.array(volume.center) for end in ends))
    assert_is(beam.forward(image()), expected)


def test_pixels_of_version_2_have_width_and_height():
    volume = Volume2D(voxel_size=(1.5, 0.5))
    beam = torch_radon.ParallelBeam(9, torch.tensor([0.0, math.pi / 2]), volume=volume)
    x = torch.zeros(3, 5, dtype=torch.float64)
    x[1, 2] = 1.0
    at_zero, at_quarter = beam.forward(x)
    assert at_zero[4].item() == pytest.approx(0.5)  # through the height of a pixel
    assert at_quarter[4].item() == pytest.approx(1.5)


def test_simple_integrals_as_version_2_documents_them():
    """At 0 and pi columns forwards and backwards, at minus and plus pi/2 rows downwards and upwards."""
    x = torch.rand(17, 17, generator=torch.Generator().manual_seed(0))
    angles = torch.tensor([0.0, math.pi, -math.pi / 2, math.pi / 2])
    got = torch_radon.ParallelBeam(17, angles).forward(x)
    torch.testing.assert_close(got[0], x.sum(0))
    torch.testing.assert_close(got[1], x.sum(0).flip(0))
    torch.testing.assert_close(got[2], x.sum(1))
    torch.testing.assert_close(got[3], x.sum(1).flip(0))


def test_defaults_are_torch_radons():
    x = torch.rand(2, 32, 32, generator=torch.Generator().manual_seed(0))
    angles = np.linspace(0, 3, 7)
    torch.testing.assert_close(Radon(32, angles).forward(x), OurParallel((32, 32), angles, 32)(x))
    fan = RadonFanbeam(32, angles, 60.0)  # detectors as far as the source, at the distance 2
    torch.testing.assert_close(fan.forward(x), OurFan((32, 32), angles, 32, 60.0, 60.0, detector_spacing=2.0)(x))
    fan = RadonFanbeam(32, angles, 60.0, 30.0)
    torch.testing.assert_close(fan.forward(x), OurFan((32, 32), angles, 32, 60.0, 30.0, detector_spacing=1.5)(x))
    fan = torch_radon.FanBeam(40, (0, 3, 7))
    ours = OurFan((32, 32), np.linspace(0, 3, 7, endpoint=False), 40, 40.0, 40.0, detector_spacing=2.0)
    torch.testing.assert_close(fan.forward(x), ours(x))


@pytest.mark.filterwarnings("ignore:ParallelBeam. the detector is too narrow:UserWarning")  # though the circle is not
@pytest.mark.parametrize("det_count", [-1, 40])
def test_clip_to_circle(det_count):
    beam = Radon(64, np.linspace(0, 3, 11), det_count=det_count, clip_to_circle=True)
    middle = (np.arange(64) - 31.5)[:, None], np.arange(64) - 31.5
    inside = torch.tensor(np.hypot(*middle) <= (32 if det_count < 0 else 20))
    x = torch.rand(64, 64, generator=torch.Generator().manual_seed(0))
    whole = Radon(64, np.linspace(0, 3, 11), det_count=det_count)
    torch.testing.assert_close(beam.forward(x), whole.forward(x * inside))
    y = beam.forward(x)
    torch.testing.assert_close(beam.backprojection(y), whole.backprojection(y) * inside)


# -------------------------------------------------------------------- filters


def documented_filter(size, name):
    """scikit-image's formula, which torch-radon cites, in numpy."""
    n = np.concatenate([np.arange(1, size / 2 + 1, 2), np.arange(size / 2 - 1, 0, -2)])
    kernel = np.zeros(size)
    kernel[0], kernel[1::2] = 0.25, -1 / (np.pi * n) ** 2
    response = 2 * np.fft.fft(kernel).real
    omega = np.pi * np.fft.fftfreq(size)[1:]
    if name == "shepp-logan":
        response[1:] *= np.sin(omega) / omega
    if name == "cosine":
        response *= np.fft.fftshift(np.sin(np.linspace(0, np.pi, size, endpoint=False)))
    if name in ("hamming", "hann"):
        response *= np.fft.fftshift({"hamming": np.hamming, "hann": np.hanning}[name](size))
    return response


@pytest.mark.parametrize("name", FILTERS)
@pytest.mark.parametrize(("count", "padded"), [(20, 64), (33, 128), (64, 128)])
def test_filters_are_the_documented_ones(name, count, padded):
    sinogram = np.random.default_rng(0).standard_normal((3, 7, count))
    response = documented_filter(padded, name)
    full = np.fft.ifft(np.fft.fft(sinogram, padded) * response).real  # version 1: with all frequencies
    half = np.fft.irfft(np.fft.rfft(sinogram, padded) * response[: padded // 2 + 1])  # version 2
    scale = np.pi / (2 * 7)
    first = Radon(count, np.zeros(7)).filter_sinogram(torch.tensor(sinogram), name)
    second = torch_radon.ParallelBeam(count, np.zeros(7)).filter_sinogram(torch.tensor(sinogram), name)
    np.testing.assert_allclose(first, full[..., :count] * scale, atol=1e-14)
    np.testing.assert_allclose(second, half[..., :count] * scale, atol=1e-14)


def test_filters_are_scikit_images():
    radon_transform = pytest.importorskip("skimage.transform.radon_transform")
    for name in ("ramp", "shepp-logan", "cosine", "hamming", "hann"):
        expected = radon_transform._get_fourier_filter(128, name)[:, 0]
        np.testing.assert_allclose(documented_filter(128, name), expected, atol=1e-14)


@pytest.mark.parametrize("det_spacing", [1.0, 0.5])
@pytest.mark.parametrize("turn", [math.pi, 2 * math.pi])
def test_filtered_backprojection_gives_the_image_in_its_own_units(det_spacing, turn):
    angles = np.linspace(0, turn, 240, endpoint=False)
    radon = Radon(SIZE, angles, int(SIZE / det_spacing), det_spacing)
    x = image()
    fbp = radon.backprojection(radon.filter_sinogram(radon.forward(x)))
    assert fbp[30:36, 52:58].mean().item() == pytest.approx(x[30:36, 52:58].mean().item(), abs=0.01)
    assert relative(fbp, x.numpy()) < 0.15


def test_half_precision_and_types():
    radon = Radon(32, np.linspace(0, 3, 9))
    for dtype in (torch.float16, torch.float32, torch.float64):
        y = radon.forward(torch.ones(4, 32, 32, dtype=dtype))
        assert (y.dtype, radon.filter_sinogram(y).dtype, radon.backprojection(y).dtype) == (dtype, dtype, dtype)


# -------------------------------------------------------------------- as a pair of maps


@pytest.mark.parametrize(
    "beam",
    [
        Radon(24, ANGLES, clip_to_circle=True),
        RadonFanbeam(24, ANGLES, 40.0, 20.0, 50),
        torch_radon.ParallelBeam(30, ANGLES, volume=Volume2D((1.0, -2.0), (0.8, 1.2))),
    ],
)
def test_backprojection_is_the_exact_adjoint_and_the_gradient(beam):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, 3, 24, 24, dtype=torch.float64, generator=generator).requires_grad_()
    y = beam.forward(x)
    assert y.shape == (2, 3, 40, beam.det_count)
    g = torch.randn(y.shape, dtype=torch.float64, generator=generator)
    back = beam.backprojection(g)
    assert (y * g).sum().item() == pytest.approx((x * back).sum().item(), rel=1e-12)
    torch.testing.assert_close(beam.backward(g), back)
    torch.testing.assert_close(torch.autograd.grad(y, x, g)[0], back)
    assert beam.forward(x[0, 0]).shape == (40, beam.det_count)


def test_a_trained_script_of_two_convolutions():
    """As in torch-radon's end-to-end example: networks before and after the backprojection, trained through both."""
    torch.manual_seed(0)
    radon = Radon(16, np.linspace(0, np.pi, 12))
    before, after = torch.nn.Conv2d(1, 2, 5, padding=2), torch.nn.Conv2d(2, 1, 3, padding=1)
    y = after(radon.backprojection(before(radon.forward(torch.rand(3, 1, 16, 16)))))
    torch.nn.functional.l1_loss(y, torch.zeros(3, 1, 16, 16)).backward()
    assert all(bool(p.grad.abs().sum() > 0) for p in [*before.parameters(), *after.parameters()])


SCRIPT = """
import numpy as np, torch
from torch_radon import Radon, RadonFanbeam
from torch_radon.solvers import Landweber, cg, cgne

device = torch.device("cpu")
angles = np.linspace(0, np.pi, 48, endpoint=False)
radon = Radon(32, angles, clip_to_circle=True)
with torch.no_grad():
    x = torch.zeros((1, 1, 32, 32)).to(device)
    x[:, :, 10:20, 12:24] = 1.0
    sinogram = radon.forward(x)
    fbp = radon.backprojection(radon.filter_sinogram(sinogram, "hann"))
    landweber = Landweber(radon)
    alpha = landweber.estimate_alpha(32, device) * 0.95
    image, progress = landweber.run(
        torch.zeros(x.size(), device=device), sinogram, alpha, iterations=60, callback=lambda z: torch.norm(z - x)
    )
    solution = cgne(radon, torch.zeros_like(x), sinogram, tol=1e-4)
    normal = lambda z: radon.backward(radon.forward(z)) + 0.1 * z
    damped = cg(normal, torch.zeros_like(x), normal(x), tol=1e-6)
fan = RadonFanbeam(32, angles, 64.0, 64.0, det_count=64, det_spacing=2.0).forward(x)
"""


def test_a_script_runs_by_the_import_alone(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch_radon", torch_radon)
    monkeypatch.setitem(sys.modules, "torch_radon.solvers", solvers)
    torch.manual_seed(0)
    names = {}
    exec(SCRIPT, names)
    x, norm = names["x"], names["x"].norm()
    assert (names["fbp"] - x).norm() < 0.3 * norm
    assert names["progress"][-1] < 0.5 * names["progress"][0]
    assert (names["solution"] - x).norm() < 0.02 * norm
    assert (names["damped"] - x).norm() < 1e-3 * norm
    assert names["fan"].shape == (1, 1, 48, 64)


def test_landweber_projects_and_differentiates():
    radon = Radon(8, np.linspace(0, 3, 10))
    solver = solvers.Landweber(radon, projection=lambda x: x.clamp(0, 0.5), grad=True)
    y = radon.forward(torch.ones(8, 8)).requires_grad_()
    image = solver.run(torch.zeros(8, 8), y, 0.001, iterations=3)
    assert 0 <= image.min() <= image.max() <= 0.5
    assert torch.autograd.grad(image.sum(), y)[0].abs().sum() > 0


def test_the_largest_step_is_twice_the_inverse_eigenvalue():
    torch.manual_seed(0)
    radon = Radon(16, np.linspace(0, 3, 20))
    expected = 2 / radon.operator.norm().item() ** 2
    assert solvers.Landweber(radon).estimate_alpha(16, "cpu") == pytest.approx(expected, rel=1e-3)


def test_version_2_takes_angles_at_the_call():
    beam = torch_radon.ParallelBeam(16, (0, math.pi, 10))
    x, few = torch.rand(16, 16), torch.tensor([0.2, 0.9])
    y = beam.forward(x, angles=few)
    torch.testing.assert_close(y, OurParallel((16, 16), few, 16)(x))
    torch.testing.assert_close(beam.backward(y, angles=few), OurParallel((16, 16), few, 16).adjoint(y))
    assert beam.forward(x).shape == (10, 16)


# -------------------------------------------------------------------- what is refused


def test_refusals():
    radon = Radon(16, [0.0, 1.0])
    with pytest.raises(ValueError, match=r"ParallelBeam: takes an input of shape \(..., 16, 16\), got \(16, 17\)"):
        radon.forward(torch.ones(16, 17))
    with pytest.raises(ValueError, match=r"takes an adjoint input of shape \(..., 2, 16\)"):
        radon.backprojection(torch.ones(3, 16))
    with pytest.raises(ValueError, match=r"filter_name takes one of ramp, .*, got 'hanning'"):
        radon.filter_sinogram(torch.ones(2, 16), "hanning")
    with pytest.raises(TypeError, match="Radon: resolution takes an integer"):
        Radon(16.5, [0.0])
    with pytest.raises(ValueError, match="source"):
        RadonFanbeam(16, [0.0], 5.0)
    with pytest.raises(ValueError, match="ParallelBeam: of unknown size: call forward first"):
        torch_radon.ParallelBeam(16, [0.0]).backward(torch.ones(1, 16))
    with pytest.raises(ValueError, match=r"ParallelBeam: takes images \(..., height, width\), got \(16,\)"):
        torch_radon.ParallelBeam(16, [0.0]).forward(torch.ones(16))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
def test_it_goes_where_the_images_are():
    x = torch.rand(64, 64)
    for beam in (Radon(64, ANGLES, clip_to_circle=True), torch_radon.FanBeam(96, ANGLES, 120.0)):
        here, there = beam.forward(x), beam.forward(x.cuda())
        assert there.is_cuda
        torch.testing.assert_close(there.cpu(), here, atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(beam.backward(there).cpu(), beam.backward(here), atol=1e-3, rtol=1e-4)
        assert beam.filter_sinogram(there).is_cuda
