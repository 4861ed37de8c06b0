"""Files that are cut off, damaged, of the wrong kind or made to do harm: one clear line, never a part of an image."""

import contextlib
import io
import logging
import pickle
import tracemalloc
import zipfile

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from invnet.data import MRIScan, TomographyScan, Volume, read, read_cfl, read_nifti, read_numpy, read_tiff
from invnet.data.formats.files import check_claim
from tests.invnet.formats import samples

pytestmark = [pytest.mark.filterwarnings("ignore::UserWarning"), pytest.mark.filterwarnings("ignore::RuntimeWarning")]
CHECKED = ("npz", "nii_gz", "png")  # formats with a checksum over the numbers


@pytest.fixture(autouse=True)
def _quiet():
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def array_of(content):
    data = {Volume: "data", MRIScan: "kspace", TomographyScan: "sinogram"}.get(type(content))
    return (content if data is None else getattr(content, data)).numpy()


def assert_one_line(error, path):
    message = str(error.value if hasattr(error, "value") else error)
    assert "\n" not in message
    assert path.name in message or path.stem in message


@pytest.mark.parametrize("make", samples.ALL, ids=lambda make: make.__name__)
def test_whole_and_truncated_anywhere(make, tmp_path):
    path, expected = make(tmp_path)
    whole = array_of(read(path))
    np.testing.assert_allclose(whole, expected, rtol=1e-5, atol=1e-5)
    content = path.read_bytes()
    refused = 0
    for length in range(0, len(content), max(1, len(content) // 200)):
        path.write_bytes(content[:length])
        try:
            read_back = array_of(read(path))
        except ValueError as error:
            refused += 1
            assert_one_line(error, path)
        else:  # what was cut off held no pixels
            np.testing.assert_array_equal(read_back, whole)
    assert refused > 0.8 * len(range(0, len(content), max(1, len(content) // 200)))


@pytest.mark.parametrize("make", samples.ALL, ids=lambda make: make.__name__)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    places=st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), min_size=1, max_size=6),
    within=st.sampled_from([64, 400, 10**6]),
)
@example(places=[(43, 0), (48, 1)], within=64)  # a PNG of other pixels
def test_damaged(make, places, within, tmp_path):
    path, _ = make(tmp_path)
    whole = array_of(read(path))
    damaged = bytearray(path.read_bytes())
    for place, value in places:
        damaged[place % min(within, len(damaged))] = value
    path.write_bytes(damaged)
    try:
        read_back = array_of(read(path))
    except ValueError as error:
        assert_one_line(error, path)
    except OSError:
        pass
    else:
        assert isinstance(read_back, np.ndarray)
        if make.__name__ in CHECKED:
            np.testing.assert_array_equal(read_back, whole)


@pytest.mark.parametrize(
    "name", ["a.npy", "a.npz", "a.nii", "a.nii.gz", "a.png", "a.jpg", "a.tif", "a.dcm", "a.h5", "a.hdr"]
)
@pytest.mark.parametrize("content", [b"", b"\0", b"no image, but a text\n" * 50], ids=["empty", "byte", "text"])
def test_wrong_kind(name, content, tmp_path):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"a\.") as error:
        read(path)
    assert_one_line(error, path)


def test_missing_and_folders(tmp_path):
    with pytest.raises(FileNotFoundError):
        read(tmp_path / "none.npy")
    with pytest.raises(ValueError, match="holds no DICOM file"):
        read(tmp_path)
    with pytest.raises(ValueError, match="is a folder"):
        read_numpy(tmp_path)


# ---------------------------------------------------------------- numpy


class Trap:
    """Runs code when it is unpickled."""

    def __reduce__(self):
        return (open, ("/tmp/invnet-was-here", "w"))


def test_pickles_are_never_loaded(tmp_path, monkeypatch):
    monkeypatch.setattr(pickle, "load", lambda *_, **__: pytest.fail("a pickle was loaded"))
    np.save(tmp_path / "a.npy", np.array([Trap()], dtype=object), allow_pickle=True)
    np.savez(tmp_path / "a.npz", a=np.array([Trap()], dtype=object))
    for name in ("a.npy", "a.npz"):
        with pytest.raises(ValueError, match="holds pickled objects"):
            read(tmp_path / name)


@pytest.mark.parametrize(
    "header",
    [
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000000,), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (-4, -4), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (4, 5), }",
        "{'descr': '|S64', 'fortran_order': False, 'shape': (1,), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (" + "1, " * 5000 + "), }",
        "__import__('os').abort()",
    ],
    ids=["terabytes", "negative", "mis-sized", "text", "dimensions", "code"],
)
def test_headers_of_numpy(header, tmp_path):
    file = io.BytesIO()
    text = header.encode()
    file.write(b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + bytes(64))
    (tmp_path / "a.npy").write_bytes(file.getvalue())
    with pytest.raises(ValueError, match=r"a\.npy"), memory_below(2**24):
        read(tmp_path / "a.npy")


def test_zip_bomb(tmp_path):
    path = tmp_path / "bomb.npz"
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("a.npy", "w", force_zip64=True) as file,
    ):
        np.lib.format.write_array_header_1_0(file, {"descr": "<f4", "fortran_order": False, "shape": (2**27,)})
        for _ in range(128):
            file.write(bytes(2**22))
    assert path.stat().st_size < 2**20
    with (
        pytest.raises(ValueError, match=r"bomb.npz: claims 512 MiB of data, and holds [0-9.]+ KiB"),
        memory_below(2**24),
    ):
        read(path)


@contextlib.contextmanager
def memory_below(limit):
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < limit
    finally:
        tracemalloc.stop()


def test_claims(tmp_path):
    check_claim(tmp_path, 2**20, 1)  # small, whatever it is
    check_claim(tmp_path, 2**29, 2**22)  # well compressed
    with pytest.raises(ValueError, match="claims 1 TiB of data, and holds 1 KiB"):
        check_claim(tmp_path, 2**40, 2**10)
    with pytest.raises(ValueError, match=r"claims 1\.126e\+15 TiB|claims .* TiB"):
        check_claim(tmp_path, 2**90, 2**89)


# ---------------------------------------------------------------- BART


@pytest.mark.parametrize(
    ("header", "words"),
    [
        ("# Dimensions\n4 -5\n", "tells no dimensions, but '4 -5'"),
        ("# Dimensions\n0 5\n", "not positive"),
        ("# Dimensions\n\n", "tells no dimensions"),
        ("# Dimensions\nfour five\n", "tells no dimensions, but 'four five'"),
        ("# Dimensions\n100000000000 100000000\n", "holds 160 bytes; a.hdr announces 80000000000000000000"),
        ("# Dimensions\n4 6\n", "holds 160 bytes; a.hdr announces 192"),
        ("# Dimensions", "tells no dimensions"),
        ("4 5\n", "no line '# Dimensions'"),
    ],
)
def test_headers_of_bart(header, words, tmp_path):
    (tmp_path / "a.hdr").write_text(header)
    (tmp_path / "a.cfl").write_bytes(bytes(160))
    with pytest.raises(ValueError, match=words):
        read_cfl(tmp_path / "a.cfl")


def test_half_a_pair(tmp_path):
    (tmp_path / "a.cfl").write_bytes(bytes(160))
    with pytest.raises(FileNotFoundError, match=r"a\.hdr"):
        read(tmp_path / "a.cfl")


# ---------------------------------------------------------------- HDF5


def hdf5_with(tmp_path, fill):
    h5py = pytest.importorskip("h5py")
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        fill(file, h5py)
    return path


def secret(tmp_path):
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "secret.h5", "w") as file:
        file["kspace"] = samples.complex_array(2, 8, 6)


@pytest.mark.parametrize("through", ["external", "soft", "circle"])
def test_links_out_of_the_file(through, tmp_path):
    secret(tmp_path)

    def fill(file, h5py):
        file["away"] = h5py.ExternalLink(str(tmp_path / "secret.h5"), "/")
        links = {"external": h5py.ExternalLink(str(tmp_path / "secret.h5"), "/kspace")}
        links |= {"soft": h5py.SoftLink("/away/kspace"), "circle": h5py.SoftLink("/kspace")}
        file["kspace"] = links[through]

    with pytest.raises(ValueError, match="which is not followed"):
        read(hdf5_with(tmp_path, fill))


def test_links_within_the_file(tmp_path):
    expected = samples.complex_array(2, 8, 6)

    def fill(file, h5py):
        file["raw/kspace"] = expected
        file["raw/again"] = h5py.SoftLink("kspace")
        file["kspace"] = h5py.SoftLink("/raw/again")

    np.testing.assert_array_equal(read(hdf5_with(tmp_path, fill)).kspace.numpy(), expected[:, None])


def test_data_in_other_files(tmp_path):
    secret(tmp_path)
    (tmp_path / "raw.bin").write_bytes(bytes(8 * 96))

    def outside(file, h5py):
        file.create_dataset("kspace", (2, 8, 6), "c8", external=[(str(tmp_path / "raw.bin"), 0, h5py.h5f.UNLIMITED)])

    def virtual(file, h5py):
        layout = h5py.VirtualLayout((2, 8, 6), "c8")
        layout[...] = h5py.VirtualSource(str(tmp_path / "secret.h5"), "kspace", (2, 8, 6))
        file.create_virtual_dataset("kspace", layout)

    for fill in (outside, virtual):
        with pytest.raises(ValueError, match="kspace lies in other files"):
            read(hdf5_with(tmp_path, fill))


def test_claims_of_hdf5(tmp_path):
    def empty(file, _):
        file.create_dataset("kspace", (2**20, 2**10, 2**10), "c8", chunks=(1, 32, 32))

    def sparse(file, _):
        data = file.create_dataset("kspace", (2**20, 2**10, 2**10), "c8", chunks=(1, 32, 32), compression="gzip")
        data[0, :32, :32] = 1

    for fill, words in ((empty, "holds no data"), (sparse, "claims 8 TiB of data")):
        with pytest.raises(ValueError, match=words):
            read(hdf5_with(tmp_path, fill))


def test_wrong_contents_of_hdf5(tmp_path):
    def other(file, _):
        file["image"] = np.ones(3)

    def text(file, _):
        file["kspace"] = "no numbers"

    def real(file, _):
        file["kspace"] = np.ones((2, 8, 6))

    for fill, words in ((other, "is HDF5, but neither fastMRI"), (text, "no numbers"), (real, "kspace takes complex")):
        with pytest.raises(ValueError, match=words):
            read(hdf5_with(tmp_path, fill))


# ---------------------------------------------------------------- NIfTI, TIFF, pictures


@pytest.mark.parametrize("shape", [(32767, 32767, 32767), (-3, 4, 5), (0, 4, 5)])
@pytest.mark.parametrize("make", [samples.nii, samples.nii_gz], ids=["nii", "nii.gz"])
def test_headers_of_nifti(make, shape, tmp_path):
    import gzip

    path, _ = make(tmp_path)
    is_packed = path.suffix == ".gz"
    content = bytearray(gzip.decompress(path.read_bytes()) if is_packed else path.read_bytes())
    content[42:48] = np.array(shape, "<i2").tobytes()
    path.write_bytes(gzip.compress(content) if is_packed else content)
    with pytest.raises(ValueError, match=r"a\.nii"), memory_below(2**24):
        read_nifti(path)


def test_tiff_of_terabytes(tmp_path):
    import tifffile

    path, _ = samples.tiff(tmp_path)
    with tifffile.TiffFile(path, mode="r+") as file:
        file.pages[0].tags["ImageLength"].overwrite(2**31 - 1)
        file.pages[0].tags["ImageWidth"].overwrite(2**31 - 1)
    with pytest.raises(ValueError, match=r"a\.tif"), memory_below(2**24):
        read_tiff(path)


def test_picture_of_terabytes(tmp_path):
    import zlib

    path, _ = samples.png(tmp_path)
    content = bytearray(path.read_bytes())
    content[16:24] = (100_000).to_bytes(4, "big") * 2
    content[29:33] = zlib.crc32(content[12:29]).to_bytes(4, "big")
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"a\.png"), memory_below(2**24):
        read(path)


def test_dicom_without_pixels(tmp_path):
    import pydicom

    path, _ = samples.dicom(tmp_path)
    header = pydicom.dcmread(path)
    for change, words in (
        ({"Rows": 60000, "Columns": 60000}, "claims|announces"),
        ({"PixelSpacing": [0, 0]}, "spacing"),
        ({"PixelData": None}, "holds no pixels"),
    ):
        for name, value in change.items():
            if value is None:
                delattr(header, name)
            else:
                setattr(header, name, value)
        header.save_as(path)
        with pytest.raises(ValueError, match=words):
            read(path)
        header = pydicom.dcmread(samples.dicom(tmp_path)[0])


def test_deflated_dicom(tmp_path):
    import pydicom

    path, expected = samples.dicom(tmp_path)
    header = pydicom.dcmread(path)
    header.file_meta.TransferSyntaxUID = pydicom.uid.DeflatedExplicitVRLittleEndian
    header.save_as(path)
    np.testing.assert_array_equal(read(path).data.numpy(), expected)
    with path.open("ab") as file:
        file.write(bytes(2**20))
    with pytest.raises(ValueError, match="is deflated as a whole"):
        read(path)


def test_entities_in_a_header(tmp_path):
    bomb = '<?xml version="1.0"?><!DOCTYPE h [<!ENTITY a "' + "a" * 100 + '">]><ismrmrdHeader>&a;</ismrmrdHeader>'

    def fill(file, _):
        file["kspace"], file["ismrmrd_header"] = samples.complex_array(2, 8, 6), bomb

    with pytest.raises(ValueError, match="defines entities"):
        read(hdf5_with(tmp_path, fill))


def test_numbers_beyond_torch(tmp_path):
    np.save(tmp_path / "a.npy", np.ones(3, np.longdouble))
    with pytest.raises(ValueError, match="no numbers of up to 64 bits"):
        read(tmp_path / "a.npy")
    np.save(tmp_path / "b.npy", np.arange(3, dtype=">u2"))
    assert torch.equal(read(tmp_path / "b.npy").long(), torch.arange(3))
