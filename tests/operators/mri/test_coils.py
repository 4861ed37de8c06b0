"""Coil sensitivities from data against sigpy and simulated coils; mixtures of coils against numpy."""

from pathlib import Path

import numpy as np
import pytest
import sigpy.mri
import torch

from operators import ChannelMix, FourierTransform
from operators.mri import (
    coil_compression,
    espirit_maps,
    noise_deviation,
    noise_whitening,
    radial_trajectory,
    walsh_maps,
)

KSPACE = Path(__file__).parents[4] / "shared/data/mri/brain_8coil_poisson_kspace.npy"


def simulated(coils=6, n=48):
    """An image with an empty border, smooth sensitivities of unit square sum, and the coils' k-space."""
    axis = torch.linspace(-1, 1, n, dtype=torch.float64)
    rows, columns = torch.meshgrid(axis, axis, indexing="ij")
    angles = 2 * torch.pi * torch.arange(coils, dtype=torch.float64) / coils
    maps = torch.stack(
        [
            torch.polar(1 / (0.5 + (rows - 1.2 * a.cos()) ** 2 + (columns - 1.2 * a.sin()) ** 2), a + rows * a.cos())
            for a in angles
        ]
    )
    maps = maps / maps.abs().square().sum(0).sqrt()
    maps = maps * maps[0].sgn().conj()
    inside = rows**2 + columns**2 < 0.7
    generator = torch.Generator().manual_seed(0)
    image = inside * (1 + 0.2 * torch.rand(n, n, generator=generator, dtype=torch.float64))
    return image, maps, FourierTransform((n, n))(maps * image), inside


def interior(inside):
    """Pixels at least two from the border."""
    outside = (~inside).double()[None]
    return torch.nn.functional.max_pool2d(outside, 5, stride=1, padding=2)[0] == 0


def error(got, expected, where):
    return ((got - expected).abs().square().sum(0)[where].mean().sqrt()).item()


def test_espirit_finds_simulated_sensitivities():
    _, maps, kspace, inside = simulated()
    assert error(espirit_maps(kspace, calibration=24), maps, interior(inside)) < 0.02


@pytest.mark.parametrize("shape", [(40, 36), (32, 33)])
def test_espirit_equals_sigpy(shape):
    _, _, kspace, _ = simulated()
    kspace = kspace[:, 4 : 4 + shape[0], 6 : 6 + shape[1]].to(torch.complex64)
    theirs = sigpy.mri.app.EspiritCalib(kspace.numpy(), calib_width=20, kernel_width=5, max_iter=300, show_pbar=False)
    theirs = torch.as_tensor(theirs.run())
    ours = espirit_maps(kspace, calibration=20, kernel=5)
    both = (ours.abs().sum(0) > 0) & (theirs.abs().sum(0) > 0)
    assert both.float().mean() > 0.3
    assert ((ours.abs().sum(0) > 0) == (theirs.abs().sum(0) > 0)).float().mean() > 0.99
    assert error(ours, theirs, both) < 1e-3


@pytest.mark.skipif(not KSPACE.exists(), reason=f"the measured k-space {KSPACE.name} is not at hand")
def test_espirit_equals_sigpy_on_measured_data():
    kspace = np.load(KSPACE)
    theirs = torch.as_tensor(sigpy.mri.app.EspiritCalib(kspace, show_pbar=False).run())
    ours = espirit_maps(torch.as_tensor(kspace))
    assert torch.equal(ours.abs().sum(0) > 0, theirs.abs().sum(0) > 0)
    assert error(ours, theirs, ours.abs().sum(0) > 0) < 1e-4


def test_sets_of_maps_are_orthonormal():
    _, _, kspace, inside = simulated()
    maps = espirit_maps(kspace, sets=2, crop=0.0)
    assert maps.shape == (2, 6, 48, 48)
    products = torch.einsum("schw,tchw->sthw", maps.conj(), maps)
    expected = torch.eye(2, dtype=products.dtype)[:, :, None, None].expand_as(products)
    torch.testing.assert_close(products, expected, rtol=0, atol=1e-10)
    # The object fits the field of view: one set explains it, and the second is cropped.
    cropped = espirit_maps(kspace, sets=2)
    assert cropped[1].abs().sum(0)[interior(inside)].count_nonzero() == 0


def test_batches_and_other_dimensions():
    _, _, kspace, _ = simulated(coils=3, n=24)
    batch = torch.stack([kspace, kspace.flip(0)])
    got = espirit_maps(batch, calibration=16, kernel=4)
    torch.testing.assert_close(got[0], espirit_maps(kspace, calibration=16, kernel=4), rtol=0, atol=1e-8)
    assert walsh_maps(batch).shape == batch.shape
    line = espirit_maps(kspace[:, 12], calibration=16, kernel=4, dims=1)
    assert line.shape == (3, 24)
    volume = torch.stack([kspace] * 8, dim=1)
    assert espirit_maps(volume, calibration=(6, 12, 12), kernel=3, dims=3).shape == (3, 8, 24, 24)


def test_walsh_finds_simulated_sensitivities():
    image, maps, _, inside = simulated()
    assert error(walsh_maps(maps * image), maps, interior(inside)) < 0.02


def test_walsh_is_the_main_eigenvector_of_the_window():
    images = torch.randn(4, 9, 8, dtype=torch.complex128, generator=torch.Generator().manual_seed(0))
    patch = images[:, 2:7, 3:6].reshape(4, -1).numpy()
    _, vectors = np.linalg.eigh(patch @ patch.conj().T)
    main = vectors[:, -1] * np.exp(-1j * np.angle(vectors[0, -1]))
    np.testing.assert_allclose(walsh_maps(images, window=(5, 3))[:, 4, 4].numpy(), main, atol=1e-10)


def test_compression_keeps_the_most_energy():
    generator = torch.Generator().manual_seed(0)
    mixture = torch.randn(8, 3, dtype=torch.complex128, generator=generator)
    kspace = (mixture @ torch.randn(3, 100, dtype=torch.complex128, generator=generator)).reshape(8, 10, 10)
    matrix = coil_compression(kspace, 3)
    torch.testing.assert_close(matrix @ matrix.mH, torch.eye(3, dtype=torch.complex128))
    compressed = ChannelMix(matrix, kspace.shape)(kspace)
    torch.testing.assert_close(compressed.abs().square().sum(), kspace.abs().square().sum())
    values = np.linalg.svd(kspace.reshape(8, -1).numpy(), compute_uv=False)
    torch.testing.assert_close(compressed.flatten(1).norm(dim=1), torch.as_tensor(values[:3]))


def test_whitening_equals_sigpy():
    generator = torch.Generator().manual_seed(0)
    mixture = torch.randn(5, 5, dtype=torch.complex128, generator=generator)
    noise = mixture @ torch.randn(5, 2000, dtype=torch.complex128, generator=generator)
    kspace = torch.randn(5, 6, 7, dtype=torch.complex128, generator=generator)
    covariance = (noise @ noise.mH / 2000).numpy()
    theirs = torch.as_tensor(sigpy.mri.whiten(kspace.numpy(), covariance))
    torch.testing.assert_close(ChannelMix(noise_whitening(noise), kspace.shape)(kspace), theirs)
    white = noise_whitening(noise) @ noise
    torch.testing.assert_close(white @ white.mH / 2000, torch.eye(5, dtype=torch.complex128))


def noise_like(kspace, sigma, seed=1):
    parts = torch.randn(2, *kspace.shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return kspace + sigma * torch.complex(*parts)


@pytest.mark.parametrize("sigma", [0.01, 0.3])
def test_the_rim_tells_the_noise(sigma):
    n = 64
    axis = (torch.arange(n) - n // 2) / (n / 2)
    signal = 100.0 * (axis[:, None] ** 2 + axis**2 < 0.5).expand(6, n, n)
    mask = torch.rand(n, n, generator=torch.Generator().manual_seed(0)) < 0.5  # zeros elsewhere are no samples
    found = noise_deviation(mask * noise_like(signal, sigma), (n, n))
    assert found.item() == pytest.approx(sigma, rel=0.05)
    points = radial_trajectory((n, n), spokes=100, samples=128)
    signal = 100.0 * ((2 * points / n).square().sum(-1) < 0.5).expand(6, 100, 128)
    assert noise_deviation(noise_like(signal, sigma), (n, n), points).item() == pytest.approx(sigma, rel=0.05)


def test_only_the_rim_tells_it():
    axis = (torch.arange(32) - 16) / 16
    inner = axis[:, None] ** 2 + axis**2 <= 0.8
    kspace = torch.where(inner, 1e6, 2.0).to(torch.complex128).expand(3, 32, 32)
    expected = 2 / np.sqrt(2 * np.log(2))
    assert noise_deviation(kspace, (32, 32)).item() == pytest.approx(expected, rel=1e-12)


KDATA = torch.ones(3, 8, 8) + 0j


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda: espirit_maps(KDATA.real), TypeError, "kspace takes complex data"),
        (lambda: espirit_maps(KDATA), ValueError, "calibration region, and that no larger than k-space"),
        (lambda: espirit_maps(KDATA, 8, 3, threshold=1.0), ValueError, "threshold must be at least 0 and below 1"),
        (lambda: espirit_maps(KDATA, 8, 3, sets=4), ValueError, "no more sets than the 3 coils"),
        (lambda: espirit_maps(0 * KDATA, 8, 3), ValueError, "holds no signal"),
        (lambda: espirit_maps(KDATA * float("nan"), 8, 3), ValueError, "kspace must be finite"),
        (lambda: espirit_maps(KDATA[0], 8, 3), ValueError, "takes kspace of shape (..., coils, *spatial)"),
        (lambda: espirit_maps(KDATA, 8, 3, dims=4), ValueError, "dims takes 1, 2 or 3"),
        (lambda: walsh_maps(KDATA, window=4), ValueError, "windows of odd sizes"),
        (lambda: coil_compression(KDATA, 4), ValueError, "at most the 3 coils"),
        (lambda: coil_compression(KDATA[0, 0], 1), ValueError, "takes kspace of shape"),
        (lambda: noise_whitening(KDATA), ValueError, "takes noise of shape (coils, samples)"),
        (lambda: noise_whitening(KDATA.flatten(1)), ValueError, "covariance is singular"),
        (lambda: noise_deviation(KDATA.real, (8, 8)), TypeError, "takes complex kspace"),
        (lambda: noise_deviation(KDATA * float("nan"), (8, 8)), ValueError, "kspace must be finite"),
        (lambda: noise_deviation(KDATA, (8, 9)), ValueError, "takes kspace of shape (..., 8, 9)"),
        (lambda: noise_deviation(0 * KDATA, (8, 8)), ValueError, "no sample far from the centre"),
        (lambda: noise_deviation(KDATA, (8, 8), torch.zeros(5, 2)), ValueError, "takes kspace of shape (..., 5)"),
    ],
)
def test_bad_input_is_told(call, kind, message):
    with pytest.raises(kind) as error:
        call()
    assert message in str(error.value)
