"""``invnet reconstruct`` from files to files, against the images that were measured."""

import itertools
import math
from pathlib import Path

import h5py
import ismrmrd
import nibabel
import numpy as np
import pytest
import torch
from click.testing import CliRunner

import operators
from invnet.data import gaussian_kernel, read, sample_image, write_cfl, write_nifti, write_png, write_tiff
from invnet.metrics import psnr
from invnet_cli import mri, pictures, tomography
from invnet_cli.app import main
from invnet_cli.names import TRAINED
from operators.mri import poisson_disc_mask, radial_trajectory
from operators.testing import check_operator
from tests.invnet.formats.test_scans import header, line, save

SHARED = Path(__file__).parents[3] / "shared/data"


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Run the command in an empty folder; the images come back."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments, out="out.npy", exit_code=0):
        result = CliRunner().invoke(main, ["reconstruct", *map(str, arguments), "--out", str(out)])
        assert result.exit_code == exit_code, result.output
        return result.output if exit_code else read(out)

    return run


def noisy(image, sigma, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return image + sigma * torch.randn(image.shape, dtype=image.dtype, generator=generator)


# ---------------------------------------------------------------- pictures


@pytest.fixture(scope="module")
def photo():
    return sample_image("camera", size=96)


@pytest.mark.parametrize("method", ["map-tv", "map-wavelet", "plug-and-play"])
def test_denoise(run, photo, method):
    write_tiff("noisy.tif", noisy(photo, 0.1))
    image = run("noisy.tif", "--physics", "denoise", "--method", method)
    assert psnr(image, photo) > psnr(noisy(photo, 0.1), photo) + 3


def test_denoise_in_colour_to_png(run):
    colours = sample_image("astronaut", size=64, gray=False)
    write_png("noisy.png", noisy(colours, 0.1))
    image = run("noisy.png", "--physics", "denoise", "--sigma", 0.1, out="clean.png")
    assert image.shape == (3, 64, 64)
    assert psnr(image, colours, dims=3) > psnr(noisy(colours, 0.1), colours, dims=3) + 3


def test_deblur(run, photo):
    kernel = gaussian_kernel(9, 1.5)
    blurred = noisy(operators.Convolution(kernel, photo.shape, padding="reflect")(photo), 0.005)
    write_tiff("blurred.tif", blurred)
    write_png("kernel.png", kernel, value_range=(0, kernel.max().item()), bits=16)
    by_file = run("blurred.tif", "--physics", "deblur", "--kernel", "kernel.png")
    assert by_file.shape == photo.shape
    inside = (slice(8, -8), slice(8, -8))
    assert psnr(by_file[inside], photo[inside]) > psnr(blurred[inside], photo[inside]) + 1.5
    by_number = run("blurred.tif", "--physics", "deblur", "--blur", 1.5, out="other.npy")
    assert psnr(by_number, by_file) > 35


def test_an_uneven_kernel_moves_nothing(run):
    """A point seen through a kernel whose centre is off its middle comes back to its place."""
    point = torch.zeros(32, 32)
    point[11, 20] = 1
    kernel = torch.zeros(4, 5)
    kernel[0, 0], kernel[3, 1], kernel[2, 2] = 1, 2, 3  # the centre is at (2, 2)
    np.save("kernel.npy", kernel.numpy())
    blurred = operators.Convolution(kernel / 6, (32, 32), padding="circular")(point)
    np.save("blurred.npy", blurred.numpy())
    image = run("blurred.npy", "--physics", "deblur", "--kernel", "kernel.npy", "--sigma", 0.003)
    assert divmod(int(image.argmax()), 32) == (11, 20)


def test_inpaint(run, photo):
    known = torch.rand(photo.shape, generator=torch.Generator().manual_seed(0)) > 0.5
    write_tiff("holes.tif", (photo + 0.01) * known)
    write_png("mask.png", known.float())
    by_mask = run("holes.tif", "--physics", "inpaint", "--mask", "mask.png", "--sigma", 0.01)
    by_black = run("holes.tif", "--physics", "inpaint", "--sigma", 0.01, out="other.npy")
    assert torch.equal(by_mask, by_black)
    assert psnr(by_mask, photo + 0.01) > 24


@pytest.mark.parametrize("method", ["least-squares", "map-tv", "plug-and-play"])
def test_holes_are_filled_without_noise_too(run, photo, method):
    known = torch.rand(photo.shape, generator=torch.Generator().manual_seed(0)) > 0.6
    write_tiff("holes.tif", photo * known)
    write_png("mask.png", known.float())
    arguments = ("--physics", "inpaint", "--mask", "mask.png", "--method", method)
    assert psnr(run("holes.tif", *arguments), photo) > 26
    assert psnr(run("holes.tif", *arguments, "--sigma", 1e-4, out="exact.npy"), photo) > 26


def test_least_squares_of_a_blurred_picture_is_smooth(run, photo):
    kernel = gaussian_kernel(9, 1.5)
    blurred = noisy(operators.Convolution(kernel, photo.shape, padding="reflect")(photo), 0.01)
    write_tiff("blurred.tif", blurred)
    image = run("blurred.tif", "--physics", "deblur", "--blur", 1.5, "--method", "least-squares")
    assert psnr(image, photo) > psnr(blurred, photo) + 1


def test_what_was_not_done_is_said(run, photo):
    write_tiff("noisy.tif", noisy(photo, 0.1))
    arguments = [
        "reconstruct",
        "noisy.tif",
        "--physics",
        "denoise",
        "--iterations",
        "1",
        "--tol",
        "1e-9",
        "--out",
        "a.npy",
    ]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0
    assert "Warning: MAP was not done after 1 iterations; --iterations allows more" in result.output


def test_a_cfl_file_without_its_header(run):
    write_cfl("kspace.cfl", torch.ones(4, 4, dtype=torch.complex64))
    Path("kspace.hdr").unlink()
    output = run("kspace.cfl", "--physics", "cartesian-mri", exit_code=1)
    assert output.splitlines() == ["Error: kspace.hdr: no such file or directory"]


def test_downsample(run, photo):
    coarse = operators.Downsample(photo.shape, 2)(photo)
    write_tiff("coarse.tif", coarse)
    image = run("coarse.tif", "--physics", "downsample", "--factor", 2, "--sigma", 0.005)
    assert image.shape == photo.shape
    bicubic = torch.nn.functional.interpolate(coarse[None, None], scale_factor=2, mode="bicubic")[0, 0]
    assert psnr(image, photo) > psnr(bicubic, photo)


def test_a_network_makes_pictures_larger(run):
    photo = sample_image("astronaut", size=96, gray=False)
    coarse = operators.Downsample(photo.shape[-2:], 2)(photo)
    write_png("coarse.png", coarse.clamp(0, 1))
    options = ("coarse.png", "--physics", "downsample", "--factor")
    enlarged, interpolated = (run(*options, 2, "--method", name, out=f"{name}.npy") for name in ("edsr", "direct"))
    assert (psnr(enlarged, photo) > psnr(interpolated, photo) + 1).all()
    assert "edsr is for --factor 2 or 4, got 3" in run(*options, 3, "--method", "edsr", exit_code=1, out="p.npy")


def test_a_volume_keeps_its_place_in_the_scanner(run):
    slices = 1000 * torch.stack([sample_image(name, size=32) for name in ("camera", "coins", "moon")])
    affine = torch.tensor([[0.5, 0, 0, 7], [0, 0.6, 0, 8], [0, 0, 3, 9], [0, 0, 0, 1]], dtype=torch.float64)
    write_nifti("noisy.nii", noisy(slices, 50), affine=affine)
    volume = run("noisy.nii", "--physics", "denoise", out="clean.nii.gz")
    assert psnr(volume.data, slices, 1000).mean() > psnr(noisy(slices, 50), slices, 1000).mean() + 3
    torch.testing.assert_close(volume.affine, affine)
    one = run("noisy.nii", "--physics", "denoise", "--slice", 1, out="one.nii")
    assert one.voxel_size == pytest.approx((0.6, 0.5))
    torch.testing.assert_close(one.data, volume.data[1], rtol=1e-3, atol=1.0)


def test_a_picture_by_a_network(run, photo):
    write_tiff("noisy.tif", noisy(photo[:32, :32], 0.1))
    image = run("noisy.tif", "--physics", "denoise", "--method", "deep-image-prior", "--iterations", 2)
    assert image.shape == (32, 32)


# ---------------------------------------------------------------- tomography


def disc(size, middle, radius):
    axis = torch.arange(size) - (size - 1) / 2
    return ((axis[:, None] + middle[1]) ** 2 + (axis - middle[0]) ** 2 < radius**2).float()


@pytest.fixture(scope="module")
def scan():
    """An object of two materials, its scan in an off-centre detector, and the angles."""
    image = 0.01 * (disc(80, (3, 5), 25) + disc(80, (-4, 8), 8))
    angles = torch.arange(90, dtype=torch.float64) * torch.pi / 90
    A = operators.ParallelBeam((80, 80), angles, 120, detector_offset=7.5)
    return image, noisy(A(image), 0.002), angles


def test_dxchange(run, scan):
    image, sinogram, angles = scan
    with h5py.File("scan.h5", "w") as file:
        counts = 1000 * (-torch.stack([sinogram, sinogram / 2])).exp().movedim(0, 1)
        file["exchange/data"], file["exchange/theta"] = counts.numpy(), torch.rad2deg(angles).numpy()
        file["exchange/data_white"] = np.full((3, 2, 120), 1000.0)
    fbp = ["scan.h5", "--physics", "parallel-beam", "--method", "fbp"]
    result = CliRunner().invoke(main, ["reconstruct", *fbp, "--out", "a.png"])
    assert "90 views of 120 detectors; the rotation axis is at detector 52.0" in result.output
    assert "slice 1 of 2: another by --slice" in result.output
    assert "a.png: 105 x 105 pixels, black" in result.output
    both = run(*fbp, "--size", 80)
    for row, factor in enumerate((1, 0.5)):
        assert psnr(both[row] / factor, image, 0.02) > 22
    smooth = run("scan.h5", "--physics", "parallel-beam", "--size", 80, "--slice", 0, out="tv.tif")
    assert psnr(smooth, image, 0.02) > 28
    assert smooth.min() >= 0
    soft = run(*fbp, "--filter", "hann", "--slice", 0, "--size", 80, out="b.npy")
    assert (soft - image)[:8].std() < (both[0] - image)[:8].std()


def test_line_integrals_and_angles(run, scan):
    image, sinogram, angles = scan
    np.save("sinogram.npy", sinogram.numpy())
    np.save("angles.npy", torch.rad2deg(angles).numpy())
    np.savetxt("angles.txt", torch.rad2deg(angles).numpy())
    common = ("sinogram.npy", "--physics", "parallel-beam", "--method", "fbp", "--size", 80, "--angles")
    results = [run(*common, text, out=f"{n}.npy") for n, text in enumerate(("0:180", "angles.npy", "angles.txt"))]
    for result in results:
        torch.testing.assert_close(result, results[0], rtol=1e-4, atol=1e-6)
    assert psnr(results[0], image, 0.02) > 22
    told = run(*common, "0:180", "--axis", 52, out="told.npy")
    assert psnr(told, image, 0.02) > 22
    wrong = run(*common, "0:180", "--axis", 60, out="wrong.npy")
    assert psnr(wrong, image, 0.02) < 20


@pytest.mark.parametrize(
    ("data", "options", "words"),
    [
        (
            "sinogram.npy",
            ("parallel-beam", "--angles", "0:3.1416"),
            "--angles takes degrees; the largest of 3.107 looks",
        ),
        (
            "noisy.npy",
            ("denoise", "--sigma", 25),
            "units of the data: 25 is more than the picture's whole range, from 0",
        ),
    ],
)
def test_units_of_others_are_noticed(tmp_path, monkeypatch, scan, data, options, words):
    monkeypatch.chdir(tmp_path)
    np.save("sinogram.npy", scan[1].numpy())
    np.save("noisy.npy", np.eye(16, dtype=np.float32))
    arguments = ["reconstruct", data, "--method", "direct", "--out", "out.npy", "--physics", *map(str, options)]
    result = CliRunner().invoke(main, arguments)
    assert words in result.output


@pytest.mark.parametrize("method", [name for name, physics in TRAINED.items() if physics == "parallel-beam"])
def test_trained_networks_of_tomography(run, scan, method):
    image, sinogram, _ = scan
    np.save("few.npy", sinogram[::3].numpy())
    common = ("few.npy", "--physics", "parallel-beam", "--size", 80, "--axis", 52, "--angles", "0:180", "--method")
    fbp, result = (run(*common, name, out=f"{name}.npy") for name in ("fbp", method))
    assert psnr(result, image, 0.02) > psnr(fbp, image, 0.02) + 1.5


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ([], "take --angles, in degrees"),
        (["--angles", "0:x"], "takes START:STOP in degrees or a file"),
        (["--angles", "missing.npy"], "missing.npy"),
        (["--angles", "few.txt"], "gives (3,) angles, and the scan has 90 views"),
        (["--angles", "0:180", "--axis", "500"], "the rotation axis would be at detector 500.0 of 120"),
        (["--angles", "0:180", "--slice", "2"], "there is no slice 2"),
    ],
)
def test_bad_scans(run, scan, options, words):
    np.save("sinogram.npy", scan[1].numpy())
    np.savetxt("few.txt", [0, 1, 2])
    output = run("sinogram.npy", "--physics", "parallel-beam", *options, exit_code=1)
    assert words in output
    assert output.count("\n") == 1


# ---------------------------------------------------------------- MRI


@pytest.fixture(scope="module")
def coils():
    """An image, maps of four coils with phases, and noisy k-space of a quarter of the grid."""
    shape = (64, 48)
    image = (0.2 + sample_image("camera", size=shape)) * torch.nn.functional.pad(torch.ones(52, 38), (5, 5, 6, 6)) + 0j
    rows, columns = torch.linspace(-1, 1, 64)[:, None], torch.linspace(-1, 1, 48)
    places = [(-1.2, 0), (1.2, 0), (0, -1.2), (0, 1.2)]
    maps = torch.stack([torch.polar(1 / (0.5 + (rows - a) ** 2 + (columns - b) ** 2), a * rows + b + 0 * columns)
                        for a, b in places])  # fmt: skip
    maps = maps / maps.abs().square().sum(0).sqrt()
    mask = poisson_disc_mask(shape, 3, generator=torch.Generator().manual_seed(0), calibration=24)
    return image, noisy(operators.CartesianMRI(mask, maps)(image), 0.01) * mask


def error(result, image):
    return ((result - image.abs()).norm() / image.norm()).item()


def test_array_of_kspace(run, coils):
    image, kspace = coils
    np.save("kspace.npy", kspace.numpy())
    common = ("kspace.npy", "--physics", "cartesian-mri", "--method")
    errors = {}
    for method in ("direct", "least-squares", "map-tv", "map-wavelet", "plug-and-play"):
        volume = run(*common, method, out=f"{method}.nii.gz")
        assert volume.data.shape == (64, 48)
        errors[method] = error(volume.data, image)
    assert max(errors["map-tv"], errors["map-wavelet"], errors["plug-and-play"]) < min(0.06, 0.6 * errors["direct"])
    assert errors["least-squares"] < errors["direct"]
    complex_image = run(*common, "map-tv", "--complex", out="complex.npy")
    assert complex_image.is_complex()
    torch.testing.assert_close(complex_image.abs(), read("map-tv.nii.gz").data, rtol=1e-3, atol=1e-3)
    tiny = run(*common, "map-tv", "--strength", 1e-3, out="weak.npy")
    assert error(tiny, image) > errors["map-tv"]


def test_stack_bart_and_maps(run, coils):
    image, kspace = coils
    np.save("stack.npy", torch.stack([kspace, 1e-5 * kspace]).numpy())  # as small as scanners write
    stack = run("stack.npy", "--physics", "cartesian-mri")
    assert stack.shape == (2, 64, 48)
    assert error(stack[0], image) < 0.06
    assert error(stack[1] * 1e5, image) < 0.06
    write_cfl("kspace.cfl", kspace[:, None])
    by_bart = run("kspace.cfl", "--physics", "cartesian-mri", out="image.cfl")
    torch.testing.assert_close(by_bart.real, stack[0], rtol=1e-3, atol=1e-3)
    write_cfl("maps.cfl", operators.mri.espirit_maps(kspace)[:, None])
    by_maps = run("kspace.cfl", "--physics", "cartesian-mri", "--maps", "maps.cfl", out="maps.npy")
    torch.testing.assert_close(by_maps, stack[0], rtol=1e-3, atol=1e-3)


def test_fastmri_with_an_oversampled_readout(run, coils):
    image, _ = coils
    wide = torch.nn.functional.pad(image, (0, 0, 32, 32))
    kspace = noisy(operators.FourierTransform((128, 48))(wide), 0.005)
    mask = (torch.arange(48) % 3 != 1) | ((torch.arange(48) - 24).abs() < 10)
    kspace = kspace * mask
    with h5py.File("fastmri.h5", "w") as file:
        file["kspace"] = kspace.expand(3, 1, 128, 48).numpy()
        file["mask"] = mask.numpy()
        head = header((1, 128, 48), (1, 64, 48), fields=((5, 128, 96), (5, 64, 96)))
        file["ismrmrd_header"] = ismrmrd.xsd.ToXML(head)
    volume = run("fastmri.h5", "--physics", "cartesian-mri", "--slice", 2, out="image.nii")
    assert volume.data.shape == (64, 48)
    assert volume.voxel_size == (1, 2)
    assert error(volume.data, image) < 0.1
    assert run("fastmri.h5", "--physics", "cartesian-mri", out="all.nii").data.shape == (3, 64, 48)
    assert nibabel.load("all.nii").header.get_zooms() == (2, 1, 1)


def test_ismrmrd_volume_and_radial(run, coils):
    image, kspace = coils
    lines = [line(kspace[:, y].numpy(), y) for y in range(64)]
    save(Path("cartesian.mrd"), header((1, 64, 48), (1, 64, 48)), lines)
    by_lines = run("cartesian.mrd", "--physics", "cartesian-mri")
    assert error(by_lines, image) < 0.06
    points = radial_trajectory((64, 48), spokes=90, samples=96)
    data = noisy(operators.NUFFT(points, (64, 48))(image), 0.01)
    saved = (points / torch.tensor((64, 48))).flip(-1).float().numpy()
    spokes = [line(data[None, k].numpy(), trajectory=saved[k].copy()) for k in range(90)]
    save(Path("radial.mrd"), header((1, 64, 48), (1, 64, 48), trajectory="radial"), spokes)
    for method, bound in (("direct", 0.3), ("map-tv", 0.1)):
        result = run("radial.mrd", "--physics", "noncartesian-mri", "--method", method, out=f"{method}.npy")
        assert error(result, image) < bound
    output = run("radial.mrd", "--physics", "cartesian-mri", exit_code=1, out="c.npy")
    assert "the data lie along a trajectory: take --physics noncartesian-mri" in output


def test_noise_scan_and_lines_for_calibration(run, coils):
    """Two coils share a strong noise, which a noise scan tells; the centre is measured apart, the imaging skips it."""
    image, kspace = coils
    generator = torch.Generator().manual_seed(1)
    mixing = torch.eye(4) + 0j
    mixing[0, 0] = mixing[1, 0] = 8

    def samples(*shape):
        noise = 0.02 * torch.randn(4, *shape, dtype=torch.complex64, generator=generator)
        return torch.tensordot(mixing, noise, 1)

    data = ((kspace + samples(64, 48)) * (kspace != 0).any(0)).numpy()
    lines = [line(data[:, y], y) for y in range(64)]
    lines += [line(kspace[:, y].numpy(), y, flags=[ismrmrd.ACQ_IS_PARALLEL_CALIBRATION]) for y in range(20, 44)]
    head = header((1, 64, 48), (1, 64, 48))
    save(Path("plain.mrd"), head, lines)
    noise_scan = line(samples(2000).numpy(), flags=[ismrmrd.ACQ_IS_NOISE_MEASUREMENT])
    save(Path("whitened.mrd"), head, [noise_scan, *lines])
    errors = [
        error(run(f"{name}.mrd", "--physics", "cartesian-mri", "--method", "least-squares", out=f"{name}.npy"), image)
        for name in ("plain", "whitened")
    ]
    assert errors[1] < 0.7 * errors[0]


def test_volume_of_bart(run):
    image = torch.zeros(8, 16, 12, dtype=torch.complex64)
    image[2:6, 4:12, 3:9] = 1
    write_cfl("kspace.cfl", noisy(operators.FourierTransform(image.shape)(image), 0.01)[None])
    assert error(run("kspace.cfl", "--physics", "cartesian-mri"), image) < 0.1


# ---------------------------------------------------------------- outputs and mistakes


def test_outputs(run, photo):
    write_tiff("noisy.tif", noisy(photo, 0.1))
    common = ("noisy.tif", "--physics", "denoise", "--method", "direct")
    run(*common, out="out.png")
    before = Path("out.png").read_bytes()
    assert run(*common, out="out.png", exit_code=1) == "Error: out.png exists; --force replaces it\n"
    assert Path("out.png").read_bytes() == before
    dark = run(*common, "--force", "--window", 0, 10, out="out.png")
    assert dark.max() < 0.2
    assert "takes a name that ends in one of" in run(*common, out="out.bmp", exit_code=1)
    assert "there is no such folder" in run(*common, out="no/out.npy", exit_code=1)
    assert "holds no complex image" in run(*common, "--complex", out="other.png", exit_code=1)
    assert "--window takes two numbers, the lower first" in run(*common, "--window", 1, 0, out="other.png", exit_code=1)
    assert sorted(path.name for path in Path().iterdir()) == ["noisy.tif", "out.png"]


@pytest.mark.parametrize(
    ("array", "arguments", "words"),
    [
        (np.ones((8, 8), np.complex64), ["denoise"], "takes real pictures, and the data are complex"),
        (
            np.ones((8, 8), np.float32),
            ["cartesian-mri"],
            "takes complex k-space, and the data are of type torch.float32",
        ),
        (np.ones((8, 8), np.float32), ["noncartesian-mri"], "takes a scan with its trajectory"),
        (np.full((8, 8), np.nan, np.float32), ["denoise"], "NaN or infinite"),
        (np.ones((0, 8), np.float32), ["denoise"], "the data are empty"),
        (np.ones(8, np.float32), ["denoise"], "take at least 2 dimensions"),
        (np.zeros((4, 32, 32), np.complex64), ["cartesian-mri"], "k-space is zero everywhere"),
        (np.ones((8, 8), np.float32), ["deblur"], "takes the blur's --kernel FILE, or its --blur"),
        (np.ones((8, 8), np.float32), ["inpaint"], "no pixel is exactly black"),
        (np.ones((8, 8), np.float32), ["inpaint", "--mask", "small.npy"], "small.npy is (4, 4), the picture (8, 8)"),
        (np.ones((8, 8), np.float32), ["deblur", "--kernel", "zero.npy"], "a positive sum"),
        (
            np.ones((8, 8), np.float32),
            ["inpaint", "--mask", "coils.npy"],
            "coils.npy is not a mask, which is one real image",
        ),
        (
            np.ones((8, 8), np.float32),
            ["denoise", "--device", "abacus"],
            "--device abacus: torch can't compute there; ",
        ),
        (np.ones((8, 8), np.float32), ["denoise", "--device", "cuda:99"], "can't compute there; there is cpu"),
        (np.ones((8, 8), np.float32), ["denoise", "--window", "0", "1"], "--window belongs to PNG"),
        (np.ones((8, 8), np.float32), ["parallel-beam", "--angles", "0-180"], "there is no file '0-180'"),
    ],
)
def test_data_that_do_not_fit(run, array, arguments, words):
    np.save("a.npy", array)
    np.save("small.npy", np.ones((4, 4), np.float32))
    np.save("coils.npy", np.ones((4, 8, 8), np.complex64))
    np.save("zero.npy", np.zeros((3, 3), np.float32))
    output = run("a.npy", "--physics", *arguments, exit_code=1)
    assert words in output
    assert output.splitlines()[-1].startswith("Error: ")
    assert not Path("out.npy").exists()


def test_named_array(run, photo):
    np.savez("a.npz", first=photo.numpy(), second=np.zeros((3, 3), np.float32))
    image = run("a.npz", "--key", "first", "--physics", "denoise", "--method", "direct")
    torch.testing.assert_close(image, photo)


# ---------------------------------------------------------------- what is estimated


@pytest.mark.parametrize("sigma", [0.02, 0.1])
def test_noise_is_estimated(photo, scan, sigma):
    assert pictures._noise(noisy(photo, sigma), None) == pytest.approx(sigma, rel=0.4)
    assert tomography._noise(noisy(scan[1], sigma)) == pytest.approx(sigma, rel=0.2)
    kspace = torch.zeros(4, 64, 48, dtype=torch.complex64)
    assert mri._noise(noisy(kspace, math.sqrt(2) * sigma), (64, 48)) == pytest.approx(sigma, rel=0.05)  # per real part
    with pytest.raises(ValueError, match="--sigma"):
        mri._noise(kspace, (64, 48))


def test_crop_is_an_operator():
    for start in itertools.product((0, 2), (1, 3)):
        check_operator(pictures.Crop((5, 6), (3, 2), start))
    padded = operators.FiniteDifference((3, 4)) @ pictures.Crop((5, 6), (3, 4), (1, 1))
    torch.testing.assert_close(padded.norm(), torch.linalg.matrix_norm(padded.to_matrix(), 2).to(padded.norm().dtype))


@pytest.mark.skipif(not SHARED.exists(), reason="the scans are not at hand")
def test_real_scans(run):
    fbp = ("--physics", "parallel-beam", "--method", "fbp", "--slice", 0, "--size", 400)
    tooth = run(SHARED / "ct/tooth.h5", *fbp)
    inside, outside = tooth[150:250, 150:250].mean(), tooth[:20].mean()
    assert inside > 0.003
    assert abs(outside) < 0.0005
    brain = SHARED / "mri/brain_8coil_poisson_kspace.npy"
    assert run(brain, "--physics", "cartesian-mri", "--method", "direct", out="b.nii").data.shape == (230, 180)
