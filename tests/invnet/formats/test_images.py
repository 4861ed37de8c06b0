"""Images: what the reference libraries write is read, and what is written they read."""

import numpy as np
import pytest
import torch

from invnet.data import (
    Volume,
    read,
    read_cfl,
    read_dicom,
    read_nifti,
    read_numpy,
    read_picture,
    read_tiff,
    write,
    write_cfl,
    write_nifti,
    write_numpy,
    write_png,
    write_tiff,
)
from tests.invnet.formats import samples

nibabel = pytest.importorskip("nibabel")
pydicom = pytest.importorskip("pydicom")
tifffile = pytest.importorskip("tifffile")
Image = pytest.importorskip("PIL.Image")

NUMBERS = ["?", "u1", "i2", "<i4", ">i4", "i8", "f2", ">f4", "f8", "c8", ">c16"]


@pytest.mark.parametrize("dtype", NUMBERS)
@pytest.mark.parametrize("order", ["C", "F"])
def test_numpy(dtype, order, tmp_path):
    array = np.array(samples.real_array(3, 4) * 9, dtype=dtype, order=order)
    np.save(tmp_path / "a.npy", array)
    result = read(tmp_path / "a.npy")
    np.testing.assert_array_equal(result.numpy(), array)
    assert result.is_contiguous()
    assert result.numpy().dtype == array.dtype.newbyteorder("=")
    write_numpy(tmp_path / "b.npy", result)
    np.testing.assert_array_equal(np.load(tmp_path / "b.npy"), array)


def test_numpy_archive(tmp_path):
    first, second = samples.real_array(3, 4), samples.complex_array(5)
    for save in (np.savez, np.savez_compressed):
        save(tmp_path / "a.npz", first=first, second=second)
        np.testing.assert_array_equal(read_numpy(tmp_path / "a.npz", key="second").numpy(), second)
        with pytest.raises(ValueError, match=r"holds 2 arrays \(first, second\): name one by key"):
            read(tmp_path / "a.npz")
        with pytest.raises(ValueError, match="holds no array 'third'; there are first, second"):
            read_numpy(tmp_path / "a.npz", key="third")
    np.save(tmp_path / "a.npy", first)
    with pytest.raises(ValueError, match="holds one array without a name"):
        read_numpy(tmp_path / "a.npy", key="first")


def test_scalar_and_empty_arrays(tmp_path):
    for array in (np.float32(3), np.zeros((0, 4), np.float32)):
        np.save(tmp_path / "a.npy", array)
        assert tuple(read(tmp_path / "a.npy").shape) == array.shape


# ---------------------------------------------------------------- BART, by its documentation


def bart_file(folder, array):
    """As BART writes an array whose axes are in its order: column-major complex floats, and 16 dimensions."""
    dims = list(array.shape) + [1] * (16 - array.ndim)
    (folder / "a.hdr").write_text(
        "# Dimensions\n"
        + "".join(f"{n} " for n in dims)
        + "\n# Command\nphantom -x 6 \n# Files\n >a\n# Creator\nBART\n"
    )
    (folder / "a.cfl").write_bytes(array.astype("<c8").tobytes(order="F"))
    return folder / "a.cfl"


def bart_array(path):
    """By the convention of BART's own reader for Python, written anew."""
    dims = [int(n) for n in path.with_suffix(".hdr").read_text().split("\n")[1].split()]
    return np.fromfile(path, np.complex64).reshape(dims, order="F").squeeze()


def test_bart(tmp_path):
    x_y_z_coils = samples.complex_array(6, 4, 1, 8)
    path = bart_file(tmp_path, x_y_z_coils)
    for name in (path, path.with_suffix(".hdr")):
        kspace = read(name)
        assert kspace.shape == (8, 1, 4, 6)  # coils, z, y, x
        np.testing.assert_array_equal(kspace.numpy(), x_y_z_coils.transpose(3, 2, 1, 0))
    write_cfl(tmp_path / "b.cfl", kspace)
    np.testing.assert_array_equal(bart_array(tmp_path / "b.cfl"), x_y_z_coils.squeeze())
    assert (tmp_path / "b.cfl").read_bytes() == path.read_bytes()
    assert torch.equal(read_cfl(tmp_path / "b.hdr"), kspace)
    write_cfl(tmp_path / "c.hdr", torch.ones(()))
    assert read_cfl(tmp_path / "c.cfl").tolist() == [1]


# ---------------------------------------------------------------- NIfTI


@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
@pytest.mark.parametrize("kind", [nibabel.Nifti1Image, nibabel.Nifti2Image])
def test_nifti(ending, kind, tmp_path):
    array = samples.real_array(2, 3, 4, 5)  # t, z, y, x
    affine = np.array([[-0.5, 0, 0, 10], [0, 0.7, 0.1, 20], [0, -0.1, 2, 30], [0, 0, 0, 1]])
    nibabel.save(kind(array.T, affine), tmp_path / f"a{ending}")
    volume = read(tmp_path / f"a{ending}")
    assert isinstance(volume, Volume)
    np.testing.assert_array_equal(volume.data.numpy(), array)
    np.testing.assert_allclose(volume.affine.numpy(), affine, atol=1e-6)
    np.testing.assert_allclose(volume.voxel_size, np.linalg.norm(affine[:3, :3], axis=0)[::-1], rtol=1e-6)
    write_nifti(tmp_path / f"b{ending}", volume.data, affine=volume.affine)
    again = nibabel.load(tmp_path / f"b{ending}")
    np.testing.assert_array_equal(np.asarray(again.dataobj), array.T)
    np.testing.assert_allclose(again.affine, affine, atol=1e-6)
    assert again.header.get_xyzt_units()[0] == "mm"


def test_scaled_nifti(tmp_path):
    stored = np.arange(24, dtype=np.int16).reshape(2, 3, 4)
    image = nibabel.Nifti1Image(stored, np.eye(4))
    image.header.set_slope_inter(0.5, -3)
    image.to_filename(tmp_path / "a.nii")
    with (tmp_path / "a.nii").open("r+b") as file:  # nibabel resets the slope when it writes: as scanners do
        file.seek(112)
        file.write(np.array([0.5, -3], "<f4").tobytes())
    data = read_nifti(tmp_path / "a.nii").data
    assert data.dtype == torch.float32
    np.testing.assert_allclose(data.numpy(), nibabel.load(tmp_path / "a.nii").get_fdata().T)


@pytest.mark.parametrize(
    ("dtype", "stored", "back"),
    [
        (torch.float32, np.float32, torch.float32),
        (torch.float64, np.float64, torch.float64),
        (torch.complex64, np.complex64, torch.complex64),
        (torch.bfloat16, np.float32, torch.float32),
        (torch.float16, np.float32, torch.float32),
        (torch.int64, np.int64, torch.float64),
        (torch.uint8, np.uint8, torch.float32),
        (torch.bool, np.uint8, torch.float32),
    ],
)
def test_types_of_nifti(dtype, stored, back, tmp_path):
    image = torch.arange(12).reshape(3, 4).to(dtype)
    write_nifti(tmp_path / "a.nii", image, voxel_size=(2, 3))
    picture = nibabel.load(tmp_path / "a.nii")
    assert picture.get_data_dtype() == stored
    assert picture.header.get_zooms() == (3, 2)
    volume = read_nifti(tmp_path / "a.nii")
    assert volume.voxel_size == (2, 3)
    assert torch.equal(volume.data, image.to(back))


def test_conjugate_views_are_written_as_they_are(tmp_path):
    image = torch.tensor([[1 + 2j, 3 - 4j]])
    for name in ("a.npy", "a.nii", "a.cfl"):
        write(tmp_path / name, image.mH)
        content = read(tmp_path / name)
        assert torch.equal(content.data if isinstance(content, Volume) else content, image.mH)


# ---------------------------------------------------------------- DICOM


def test_dicom(tmp_path):
    path, expected = samples.dicom(tmp_path)
    volume = read(path)
    np.testing.assert_array_equal(volume.data.numpy(), expected)
    assert volume.data.dtype == torch.float32
    assert volume.voxel_size == pytest.approx((0.8, 0.7))
    # Pixel (row, column) = (2, 4) by the standard, in LPS: corner + 4 * 0.7 along x + 2 * 0.8 along y.
    place = volume.affine @ torch.tensor([4.0, 2.0, 0.0, 1.0], dtype=torch.float64)
    np.testing.assert_allclose(place[:3], [10 - 2.8, 20 - 1.6, 30])


def test_dicom_series(tmp_path):
    path, expected = samples.dicom(tmp_path)
    template = pydicom.dcmread(path)
    folder = tmp_path / "series"
    folder.mkdir()
    for number, z in enumerate([9.0, 3.0, 6.0]):  # not in the order of the names
        template.ImagePositionPatient, template.RescaleIntercept = [-10, -20, z], z
        template.save_as(folder / f"{number}.dcm")
    (folder / "notes.txt").write_text("no image")
    volume = read(folder)
    slices = [expected + 1024 + z for z in (3, 6, 9)]
    np.testing.assert_allclose(volume.data.numpy(), np.stack(slices))
    assert volume.voxel_size == pytest.approx((3, 0.8, 0.7))
    np.testing.assert_allclose(volume.affine[:3, 2], [0, 0, 3])
    np.testing.assert_allclose(volume.affine[:3, 3], [10, 20, 3])

    template.ImagePositionPatient = [-10, -20, 15]
    template.save_as(folder / "3.dcm")
    with pytest.raises(ValueError, match="lacks slices: their distances go from 3 to 6"):
        read(folder)
    template.ImagePositionPatient = [-10, -20, 9]
    template.save_as(folder / "3.dcm")
    with pytest.raises(ValueError, match="several slices at the same place"):
        read(folder)
    template.SeriesInstanceUID = "1.2.3"
    template.save_as(folder / "3.dcm")
    with pytest.raises(ValueError, match="holds 2 series"):
        read(folder)


SHIPPED = ["CT_small.dcm", "MR_small.dcm", "MR_small_RLE.dcm", "MR_small_bigendian.dcm", "rtdose.dcm"]


@pytest.mark.parametrize("name", SHIPPED)
def test_dicom_of_pydicom(name):
    from pydicom.data import get_testdata_file

    path = get_testdata_file(name, download=False)
    header = pydicom.dcmread(path)
    expected = pydicom.pixels.apply_modality_lut(header.pixel_array, header).astype(np.float32)
    np.testing.assert_allclose(read_dicom(path).data.numpy(), expected, rtol=1e-6)


@pytest.mark.parametrize("planes", [0, 1])
def test_dicom_in_colour(planes, tmp_path):
    path, _ = samples.dicom(tmp_path)
    header = pydicom.dcmread(path)
    pixels = np.random.default_rng(0).integers(0, 256, (6, 5, 3), dtype=np.uint8)
    header.SamplesPerPixel, header.PhotometricInterpretation, header.PlanarConfiguration = 3, "RGB", planes
    header.BitsAllocated, header.BitsStored, header.HighBit = 8, 8, 7
    header.PixelData = (np.moveaxis(pixels, -1, 0) if planes else pixels).tobytes()
    header.save_as(path)
    volume = read(path)
    np.testing.assert_allclose(volume.data.numpy(), np.moveaxis(pixels / 255, -1, 0), rtol=1e-6)
    assert volume.voxel_size == pytest.approx((0.8, 0.7))


def test_frames_with_groups_of_their_own(tmp_path):
    """As enhanced CT and MR images have it: rescaling, spacing and place in each frame's or all frames' group."""
    path, expected = samples.dicom(tmp_path)
    header = pydicom.dcmread(path)
    stored = (expected + 1024) * 2
    for name in ("RescaleSlope", "RescaleIntercept", "PixelSpacing", "SliceThickness", "ImagePositionPatient"):
        delattr(header, name)

    def group(sequence, **entries):
        part = pydicom.Dataset()
        for name, value in entries.items():
            setattr(part, name, value)
        result = pydicom.Dataset()
        setattr(result, sequence, [part])
        return result

    header.NumberOfFrames = 2
    header.PixelData = np.stack([stored, stored]).astype(np.uint16).tobytes()
    header.SharedFunctionalGroupsSequence = [group("PixelMeasuresSequence", PixelSpacing=[2, 1], SliceThickness=4)]
    header.PerFrameFunctionalGroupsSequence = [
        group("PixelValueTransformationSequence", RescaleSlope=slope, RescaleIntercept=1) for slope in (1, 3)
    ]
    header.save_as(path)
    volume = read(path)
    np.testing.assert_allclose(volume.data.numpy(), np.stack([stored + 1, 3 * stored + 1]))
    assert volume.voxel_size == (4, 2, 1)


# ---------------------------------------------------------------- TIFF, PNG, JPEG


@pytest.mark.parametrize("dtype", ["u1", "u2", "f2", "f4", "f8", "i4"])
@pytest.mark.parametrize(
    "options", [{}, {"bigtiff": True, "byteorder": ">"}, {"compression": "zlib", "predictor": False}]
)
def test_tiff(dtype, options, tmp_path):
    array = np.abs(samples.real_array(6, 5) * 50).astype(dtype)
    tifffile.imwrite(tmp_path / "a.tif", array, **options)
    scale = np.iinfo(dtype).max if dtype in ("u1", "u2") else 1
    result = read(tmp_path / "a.tif")
    np.testing.assert_allclose(result.numpy(), array / scale, rtol=1e-6)
    assert result.dtype == {"f2": torch.float16, "f8": torch.float64, "i4": torch.float64}.get(dtype, torch.float32)


def test_stacks_and_colours_of_tiff(tmp_path):
    colours = np.random.default_rng(0).integers(0, 255, (4, 6, 5, 3), dtype=np.uint8)
    expected = np.moveaxis(colours / 255, -1, -3).astype(np.float32)
    for name, pixels, want, planes in (
        ("one.tif", colours[0], expected[0], "contig"),
        ("planar.tif", np.moveaxis(colours[0], -1, 0), expected[0], "separate"),
        ("stack.tif", colours, expected, "contig"),
    ):
        tifffile.imwrite(tmp_path / name, pixels, photometric="rgb", planarconfig=planes)
        np.testing.assert_allclose(read_tiff(tmp_path / name).numpy(), want, rtol=1e-6)
    alpha = np.concatenate([colours[0], colours[0, ..., :1]], -1)
    tifffile.imwrite(tmp_path / "alpha.tif", alpha, photometric="rgb", extrasamples=["unassalpha"])
    np.testing.assert_allclose(read(tmp_path / "alpha.tif").numpy(), expected[0], rtol=1e-6)
    tifffile.imwrite(tmp_path / "white.tif", colours[0, ..., 0], photometric="miniswhite")
    np.testing.assert_allclose(read(tmp_path / "white.tif").numpy(), 1 - expected[0, 0], rtol=1e-6)


@pytest.mark.parametrize("shape", [(6, 5), (3, 6, 5), (4, 6, 5)])
def test_written_tiff(shape, tmp_path):
    image = torch.from_numpy(samples.real_array(*shape))
    write_tiff(tmp_path / "a.tif", image)
    by_peer = tifffile.imread(tmp_path / "a.tif")
    np.testing.assert_array_equal(np.moveaxis(by_peer, -1, 0) if shape[0] == 3 else by_peer, image.numpy())
    assert torch.equal(read(tmp_path / "a.tif"), image)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_png(mode, tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (6, 5, 3), dtype=np.uint8)
    picture = Image.fromarray(pixels).convert("L").convert("1") if mode == "1" else None
    if mode == "I;16":
        deep = np.random.default_rng(0).integers(0, 65536, (6, 5), dtype=np.uint16)
        picture, expected = Image.fromarray(deep), deep / 65535
    elif mode == "P":
        picture = Image.fromarray(pixels).quantize(8)
        expected = np.moveaxis(np.asarray(picture.convert("RGB")), -1, 0) / 255
    elif mode in ("1", "L", "LA"):
        picture = picture or Image.fromarray(pixels).convert(mode)
        expected = np.asarray(picture.convert("L")) / 255
    else:
        picture, expected = Image.fromarray(pixels).convert(mode), np.moveaxis(pixels, -1, 0) / 255
    picture.save(tmp_path / "a.png")
    np.testing.assert_allclose(read(tmp_path / "a.png").numpy(), expected, atol=1e-6)


def test_jpeg_is_turned_as_the_camera_was(tmp_path):
    pixels = np.zeros((16, 32, 3), np.uint8)
    pixels[:, :16] = 255
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned to the right
    Image.fromarray(pixels).save(tmp_path / "a.jpg", exif=exif)
    image = read_picture(tmp_path / "a.jpg")
    assert image.shape == (3, 32, 16)
    assert image[:, :14].min() > 0.9
    assert image[:, 18:].max() < 0.1


def test_colour_of_16_bits_is_refused(tmp_path):
    path, _ = samples.png(tmp_path)
    content = bytearray(path.read_bytes())
    content[24:26] = b"\x10\x02"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="is colour of 16 bits"):
        read(path)


def test_written_png(tmp_path):
    image = torch.tensor([[-1.0, 0.0, 0.5, 1.0, 7.0]])
    write_png(tmp_path / "a.png", image)
    assert np.asarray(Image.open(tmp_path / "a.png")).tolist() == [[0, 0, 128, 255, 255]]
    write_png(tmp_path / "b.png", image, value_range=(-1, 7), bits=16)
    assert np.asarray(Image.open(tmp_path / "b.png")).tolist() == [[0, 8192, 12288, 16384, 65535]]
    colours = torch.rand(3, 4, 5)
    write(tmp_path / "c.png", colours)
    np.testing.assert_allclose(
        np.moveaxis(np.asarray(Image.open(tmp_path / "c.png")), -1, 0) / 255, colours, atol=0.002
    )


# ---------------------------------------------------------------- writing


@pytest.mark.parametrize("name", ["a.npy", "a.nii", "a.nii.gz", "a.png", "a.tif", "a.cfl"])
def test_nothing_is_overwritten_by_mistake(name, tmp_path):
    write(tmp_path / name, torch.zeros(3, 4))
    before = (tmp_path / name).read_bytes()
    with pytest.raises(FileExistsError, match=rf"{name[:2]}.* exists; overwrite=True replaces it"):
        write(tmp_path / name, torch.ones(3, 4))
    assert (tmp_path / name).read_bytes() == before
    write(tmp_path / name, torch.ones(3, 4), overwrite=True)
    assert (tmp_path / name).read_bytes() != before
    assert all(not path.name.startswith(".") for path in tmp_path.iterdir())


@pytest.mark.parametrize("name", ["a.npy", "a.nii.gz", "a.png", "a.tif", "a.cfl"])
def test_a_failed_write_leaves_what_was_there(name, tmp_path, monkeypatch):
    write(tmp_path / name, torch.zeros(3, 4))
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}

    def fail(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("os.replace", fail)
    with pytest.raises(KeyboardInterrupt):
        write(tmp_path / name, torch.ones(3, 4), overwrite=True)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda p: write(p / "a.bmp", torch.ones(2, 2)), ValueError, r"takes a name that ends in one of \.npy, \.nii"),
        (lambda p: write(p / "a.png", np.ones((2, 2))), TypeError, "takes a torch.Tensor, got ndarray"),
        (lambda p: write(p / "a.npy", torch.ones(0, 2)), ValueError, r"at least one entry, got shape \(0, 2\)"),
        (lambda p: write(p / "a.png", torch.ones(2, 2, 2)), ValueError, r"shape \(H, W\), \(1, H, W\) or \(3, H, W\)"),
        (lambda p: write(p / "a.png", torch.ones(2, 2) * 1j), TypeError, "write its magnitude"),
        (lambda p: write(p / "a.png", torch.full((2, 2), torch.nan)), ValueError, "takes a finite image"),
        (lambda p: write(p / "a.tif", torch.ones(2, 2) * 1j), ValueError, "takes real images"),
        (lambda p: write_png(p / "a.png", torch.ones(2, 2), bits=12), ValueError, "takes 8 bits, or 16"),
        (lambda p: write_png(p / "a.png", torch.ones(2, 2), (1, 1)), ValueError, "low must be below high"),
        (
            lambda p: write_nifti(p / "a.nii", torch.ones(2, 2), voxel_size=(1, 0)),
            ValueError,
            "takes 2 positive numbers",
        ),
        (lambda p: write_nifti(p / "a.nii", torch.ones(2, 2), affine=torch.eye(3)), ValueError, r"shape \(4, 4\)"),
        (lambda p: write_nifti(p / "a.txt", torch.ones(2, 2)), ValueError, "ends in .nii or .nii.gz"),
        (lambda p: write_cfl(p / "a.cfl", torch.ones([1] * 17)), ValueError, "at most 16 dimensions"),
    ],
)
def test_bad_input(call, error, words, tmp_path):
    with pytest.raises(error, match=words):
        call(tmp_path)
    assert not list(tmp_path.iterdir())
