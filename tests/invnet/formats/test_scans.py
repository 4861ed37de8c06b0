"""Measurements: fastMRI, ISMRMRD and DXchange, written by h5py and the package ismrmrd."""

import itertools
from pathlib import Path

import numpy as np
import pytest
import torch

import operators
from invnet.data import read, read_dxchange, read_fastmri, read_ismrmrd
from operators.mri import radial_trajectory
from tests.invnet.formats import samples

h5py = pytest.importorskip("h5py")
ismrmrd = pytest.importorskip("ismrmrd")
TOOTH = Path(__file__).parents[4] / "shared/data/ct/tooth.h5"


# ---------------------------------------------------------------- fastMRI


def test_fastmri(tmp_path):
    path, expected = samples.fastmri(tmp_path)
    scan = read(path)
    np.testing.assert_array_equal(scan.kspace.numpy(), expected)
    assert scan.kspace.dtype == torch.complex64
    assert scan.mask.tolist() == [False, True] * 3
    np.testing.assert_array_equal(scan.reference.numpy(), samples.real_array(2, 4, 4))
    one = read_fastmri(path, index=1)
    np.testing.assert_array_equal(one.kspace.numpy(), expected[1])
    assert one.reference.shape == one.image_shape == (4, 4)
    operators.CartesianMRI(one.mask, in_shape=(8, 6))  # a mask as the operator takes it
    with pytest.raises(ValueError, match="kspace has 2 along axis 0; there is no index 2"):
        read_fastmri(path, index=2)


def test_fastmri_of_one_coil_and_with_a_header(tmp_path):
    path, expected = samples.fastmri_packed(tmp_path)
    with h5py.File(path, "a") as file:
        file["ismrmrd_header"] = ismrmrd.xsd.ToXML(header((1, 8, 6), (1, 4, 4), fields=((5, 16, 12), (5, 8, 8))))
    scan = read(path)
    np.testing.assert_array_equal(scan.kspace.numpy(), expected)
    assert scan.mask is None
    assert scan.image_shape == (4, 4)
    assert scan.voxel_size == (2, 2)
    assert "ismrmrdHeader" in scan.header


def test_parts_of_fastmri_that_do_not_fit(tmp_path):
    for name, value, words in (
        ("mask", np.ones(5), "takes a mask of the 6 lines"),
        ("reconstruction_rss", np.ones((3, 4, 4)), r"takes \(2, H, W\), has \(3, 4, 4\)"),
        ("ismrmrd_header", "<xml/>", "ISMRMRD header"),
    ):
        path, _ = samples.fastmri(tmp_path)
        with h5py.File(path, "a") as file:
            if name in file:
                del file[name]
            file[name] = value
        with pytest.raises(ValueError, match=words):
            read(path)


# ---------------------------------------------------------------- ISMRMRD


def header(encoded, image, fields=None, centers=None, trajectory="cartesian"):
    """A header of one encoding; sizes in the order (z, y, x)."""
    xsd = ismrmrd.xsd

    def space(sizes, field):
        matrix = xsd.matrixSizeType(x=sizes[2], y=sizes[1], z=sizes[0])
        return xsd.encodingSpaceType(
            matrixSize=matrix, fieldOfView_mm=xsd.fieldOfViewMm(x=field[2], y=field[1], z=field[0])
        )

    fields = fields or (encoded, image)
    limits = xsd.encodingLimitsType()
    if centers is not None:
        limits.kspace_encoding_step_1 = xsd.limitType(minimum=0, maximum=encoded[1] - 1, center=centers[1])
        limits.kspace_encoding_step_2 = xsd.limitType(minimum=0, maximum=encoded[0] - 1, center=centers[0])
    encoding = xsd.encodingType(
        encodedSpace=space(encoded, fields[0]),
        reconSpace=space(image, fields[1]),
        encodingLimits=limits,
        trajectory=xsd.trajectoryType(trajectory),
    )
    conditions = xsd.experimentalConditionsType(H1resonanceFrequency_Hz=123000000)
    return xsd.ismrmrdHeader(experimentalConditions=conditions, encoding=[encoding])


def line(data, y=0, z=0, center=None, flags=(), trajectory=None, **counters):
    head = {"center_sample": data.shape[1] // 2 if center is None else center}
    acquisition = ismrmrd.Acquisition.from_array(np.ascontiguousarray(data), trajectory, **head)
    acquisition.idx.kspace_encode_step_1, acquisition.idx.kspace_encode_step_2 = y, z
    for name, value in counters.items():
        setattr(acquisition.idx, name, value)
    for flag in flags:
        acquisition.set_flag(flag)
    return acquisition


def save(path, head, lines, group="dataset"):
    with ismrmrd.File(path, "w") as file:
        file[group].header = head
        file[group].acquisitions = lines
    return path


def test_cartesian_slices(tmp_path):
    kspace = samples.complex_array(3, 4, 8, 6)  # slices, coils, y, x
    lines = [line(kspace[s, :, y], y=y, slice=s) for y, s in itertools.product(range(8), range(3)) if y != 2]
    scan = read(save(tmp_path / "a.mrd", header((1, 8, 6), (1, 8, 6), ((5, 16, 9), (5, 16, 9))), lines))
    kspace[:, :, 2] = 0
    np.testing.assert_array_equal(scan.kspace.numpy(), kspace)
    assert scan.mask.shape == (3, 8, 6)
    assert not scan.mask[:, 2].any()
    assert scan.mask[:, [0, 1, 3, 4, 5, 6, 7]].all()
    assert scan.image_shape == (8, 6)
    assert scan.voxel_size == (2, 1.5)
    assert scan.noise is None


def test_written_line_by_line_by_the_older_interface(tmp_path):
    kspace = samples.complex_array(2, 4, 6)
    with ismrmrd.Dataset(tmp_path / "a.h5", "scan") as dataset:
        dataset.write_xml_header(ismrmrd.xsd.ToXML(header((1, 4, 6), (1, 4, 6))))
        for y in range(4):
            dataset.append_acquisition(line(kspace[:, y], y=y))
    np.testing.assert_array_equal(read(tmp_path / "a.h5").kspace.numpy(), kspace)
    np.testing.assert_array_equal(read_ismrmrd(tmp_path / "a.h5", group="scan").kspace.numpy(), kspace)
    with pytest.raises(ValueError, match="holds no ISMRMRD scan"):
        read_ismrmrd(tmp_path / "a.h5", group="other")


def test_partial_fourier_and_centers(tmp_path):
    """Counters run from the encoding's first line; a short echo misses the first samples of each line."""
    kspace = samples.complex_array(2, 8, 10)
    lines = [line(kspace[:, y, 3:], y=y - 1, center=10 // 2 - 3) for y in range(1, 8)]
    scan = read(save(tmp_path / "a.h5", header((1, 8, 10), (1, 8, 10), centers=(0, 3)), lines))
    np.testing.assert_array_equal(scan.kspace[:, 1:, 3:].numpy(), kspace[:, 1:, 3:])
    assert scan.mask.sum() == 7 * 7


def test_volume_reversed_lines_averages_and_discarded_samples(tmp_path):
    kspace = samples.complex_array(2, 4, 3, 6)  # coils, z, y, x
    lines = []
    for z, y in itertools.product(range(4), range(3)):
        data = kspace[:, z, y]
        if y == 0:
            lines.append(line(data[:, ::-1], y, z, center=6 - 1 - 3, flags=[ismrmrd.ACQ_IS_REVERSE]))
        elif y == 1:
            lines += [line(data + shift, y, z, average=k) for k, shift in enumerate((-1, 1))]
        else:
            longer = np.concatenate([np.full((2, 2), 99), data, np.full((2, 1), 99)], axis=1).astype(np.complex64)
            lines.append(line(longer, y, z, center=2 + 3))
            lines[-1].discard_pre, lines[-1].discard_post = 2, 1
    scan = read(save(tmp_path / "a.h5", header((4, 3, 6), (4, 3, 6)), lines))
    np.testing.assert_allclose(scan.kspace.numpy(), kspace, atol=1e-6)
    assert scan.mask is None
    assert scan.image_shape == (4, 3, 6)


def test_noise_calibration_and_what_is_no_image(tmp_path):
    kspace, noise = samples.complex_array(2, 4, 6), samples.complex_array(2, 50)
    lines = [line(noise, flags=[ismrmrd.ACQ_IS_NOISE_MEASUREMENT])]
    lines += [line(kspace[:, y] * 9, y, flags=[ismrmrd.ACQ_IS_PHASECORR_DATA]) for y in range(4)]
    lines += [line(kspace[:, y] * 2, y, flags=[ismrmrd.ACQ_IS_PARALLEL_CALIBRATION]) for y in (1, 2)]
    lines += [line(kspace[:, y], y) for y in (0, 2)]
    lines[-1].set_flag(ismrmrd.ACQ_IS_PARALLEL_CALIBRATION_AND_IMAGING)
    scan = read(save(tmp_path / "a.h5", header((1, 4, 6), (1, 4, 6)), lines))
    np.testing.assert_array_equal(scan.noise.numpy(), noise)
    np.testing.assert_array_equal(scan.kspace[:, [0, 2]].numpy(), kspace[:, [0, 2]])
    assert not scan.kspace[:, [1, 3]].any()
    np.testing.assert_array_equal(scan.calibration[:, 1:3].numpy(), kspace[:, 1:3] * 2)


def test_oversampling(tmp_path):
    """An object within the middle half of the readout's field of view comes out whole."""
    image = torch.zeros(2, 4, 12, dtype=torch.complex64)
    image[..., 3:9] = torch.from_numpy(samples.complex_array(2, 4, 6))
    kspace = operators.FourierTransform((4, 12))(image).numpy()
    path = save(tmp_path / "a.h5", header((1, 4, 12), (1, 4, 6)), [line(kspace[:, y], y) for y in range(4)])
    np.testing.assert_allclose(read(path).kspace.numpy(), kspace, atol=1e-6)
    cropped = read_ismrmrd(path, remove_oversampling=True)
    assert cropped.kspace.shape == (2, 4, 6)
    np.testing.assert_allclose(
        operators.FourierTransform((4, 6)).H(cropped.kspace).numpy(), image[..., 3:9].numpy(), atol=1e-5
    )


@pytest.mark.parametrize("unit", ["normalized", "cycles"])
def test_radial(unit, tmp_path):
    """An image measured along spokes and saved comes back by the operator of what is read."""
    points = radial_trajectory((16, 16), spokes=40, samples=32)
    image = torch.from_numpy(samples.complex_array(2, 16, 16))
    data = operators.NUFFT(points, (16, 16))(image)  # two coils
    saved = (points / 16 if unit == "normalized" else points).flip(-1).float().numpy()
    lines = [line(data[:, k].numpy(), trajectory=saved[k].copy(), kspace_encode_step_1=k) for k in range(40)]
    lines += [line(2 * data[:, k].numpy(), trajectory=saved[k].copy(), repetition=1) for k in range(40)]
    head = header((1, 16, 16), (1, 16, 16), trajectory="radial")
    path = save(tmp_path / "a.h5", head, lines)
    scan = read_ismrmrd(path, trajectory_unit=unit)
    assert scan.kspace.shape == (2, 2, 40, 32)  # repetitions, coils, readouts, samples
    torch.testing.assert_close(scan.trajectory, points, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(scan.kspace, torch.stack([data, 2 * data]))
    operators.NonCartesianMRI(scan.trajectory, scan.image_shape)
    torch.testing.assert_close(read(path).trajectory, scan.trajectory)  # by how far it reaches
    if unit == "cycles":
        with pytest.raises(ValueError, match="is 'normalized' its trajectory_unit"):
            read_ismrmrd(path, trajectory_unit="normalized")


def test_damaged_scans(tmp_path):
    kspace = samples.complex_array(2, 4, 6)
    head = header((1, 4, 6), (1, 4, 6))
    good = [line(kspace[:, y], y) for y in range(4)]
    cases = {
        "leaves the grid": [*good, line(kspace[:, 0], y=4)],
        "different numbers of coils": [*good, line(kspace[:1, 0], y=0)],
        "no acquisition for an image": [line(kspace[:, 0], flags=[ismrmrd.ACQ_IS_NOISE_MEASUREMENT])],
        "NaN or infinite": [line(kspace[:, 0] * np.float32(np.nan))],
    }
    for words, lines in cases.items():
        with pytest.raises(ValueError, match=words):
            read(save(tmp_path / "a.h5", head, lines))
    radial = header((1, 4, 6), (1, 4, 6), trajectory="radial")
    with pytest.raises(ValueError, match="have no trajectory"):
        read(save(tmp_path / "a.h5", radial, good))
    path = save(tmp_path / "a.h5", head, good)
    with h5py.File(path, "a") as file:
        entry = file["dataset/data"][1]
        entry["head"]["number_of_samples"] = 5
        file["dataset/data"][1] = entry
    with pytest.raises(ValueError, match="acquisition 1 announces 10 samples, and holds others"):
        read(path)
    with h5py.File(path, "a") as file:
        file["dataset/xml"][0] = "<ismrmrdHeader>"
    with pytest.raises(ValueError, match="ISMRMRD header"):
        read(path)


def test_many_acquisitions_of_the_same_samples(tmp_path):
    """A small file whose entries all point to the samples of the first would fill the memory."""
    lines = [line(np.ones((1, n), np.complex64)) for n in (50_000, *[10] * 30)]
    path = save(tmp_path / "a.h5", header((1, 4, 6), (1, 4, 6)), lines)
    with h5py.File(path) as file:
        data = file["dataset/data"]
        chunk = data.id.get_chunk_info(0)
        width = data.id.get_type().get_size()
    content = bytearray(path.read_bytes())
    first = content[chunk.byte_offset : chunk.byte_offset + width]
    count = min(len(lines), chunk.size // width)
    assert count > 5
    for k in range(count):
        content[chunk.byte_offset + k * width : chunk.byte_offset + (k + 1) * width] = first
    path.write_bytes(content)
    with pytest.raises(ValueError, match="claims more samples than its"):
        read(path)


# ---------------------------------------------------------------- DXchange


def test_dxchange(tmp_path):
    path, expected = samples.dxchange(tmp_path)
    scan = read(path)
    np.testing.assert_allclose(scan.sinogram.numpy(), expected, atol=1e-5)
    np.testing.assert_allclose(scan.angles.numpy(), np.deg2rad(np.linspace(0, 144, 5)))
    one = read_dxchange(path, row=2)
    np.testing.assert_allclose(one.sinogram.numpy(), expected[2], atol=1e-5)
    with pytest.raises(ValueError, match="data has 3 along axis 1; there is no index 3"):
        read_dxchange(path, row=3)
    with h5py.File(path, "a") as file:
        file["exchange/theta"].attrs["units"] = "radians"
        del file["exchange/data_dark"]
    np.testing.assert_allclose(read(path).angles.numpy(), np.linspace(0, 144, 5))


def test_dead_detectors_and_dark_rays(tmp_path):
    path, expected = samples.dxchange(tmp_path)
    with h5py.File(path, "a") as file:
        file["exchange/data_white"][:, 1, 3] = 0
        file["exchange/data"][2, 0, 5] = -100.0
    with pytest.warns(UserWarning, match="1 of 24 detectors see no beam"):
        sinogram = read(path).sinogram
    assert not sinogram[1, :, 3].any()
    assert sinogram[0, 2, 5] == pytest.approx(-np.log(1e-6))
    np.testing.assert_allclose(sinogram[2].numpy(), expected[2], atol=1e-5)


def test_parts_of_dxchange_that_do_not_fit(tmp_path):
    for name, value, words in (
        ("theta", np.zeros(4), "holds 5 projections and 4 angles"),
        ("data_white", np.ones((2, 3, 7)), "flat fields"),
        ("data_white", None, "has no dataset exchange/data_white"),
        ("data_white", np.zeros((2, 3, 8)), "no detector sees more"),
        ("data", np.full((5, 3, 8), np.nan), "NaN or infinite"),
        ("data", np.ones((5, 3)), r"takes real \(views, rows, detectors\)"),
        ("theta", np.array([0, 1, 2, 3, np.inf]), "NaN or infinite"),
    ):
        path, _ = samples.dxchange(tmp_path)
        with h5py.File(path, "a") as file:
            del file[f"exchange/{name}"]
            if value is not None:
                file[f"exchange/{name}"] = value
        with pytest.raises(ValueError, match=words):
            read(path)


@pytest.mark.skipif(not TOOTH.exists(), reason="the scan of a tooth is not at hand")
def test_real_scan_of_a_tooth():
    scan = read_dxchange(TOOTH, row=0)
    assert scan.sinogram.shape == (181, 640)
    assert scan.angles[-1].item() == pytest.approx(np.pi, rel=0.02)
    offset = operators.ct.find_detector_offset(scan.sinogram, scan.angles)
    assert (640 - 1) / 2 - offset.item() == pytest.approx(296, abs=1)
