"""Small valid files, each written by the format's reference library, with what a reader must find in them.

BART alone is no library of Python: its files are as it documents them.
"""

import numpy as np

SEED = 7


def complex_array(*shape):
    rng = np.random.default_rng(SEED)
    return (rng.standard_normal(shape) + 1j * rng.standard_normal(shape)).astype(np.complex64)


def real_array(*shape):
    return np.random.default_rng(SEED).standard_normal(shape).astype(np.float32)


def npy(folder):
    array = complex_array(2, 5, 4)
    np.save(folder / "a.npy", array)
    return folder / "a.npy", array


def npz(folder):
    array = real_array(6, 5)
    np.savez_compressed(folder / "a.npz", image=array)
    return folder / "a.npz", array


def nii(folder):
    import nibabel

    array = real_array(4, 3, 5)
    nibabel.save(nibabel.Nifti1Image(array.T, np.diag([1.0, 2.0, 3.0, 1.0])), folder / "a.nii")
    return folder / "a.nii", array


def nii_gz(folder):
    import nibabel

    array = real_array(4, 3, 5)
    nibabel.save(nibabel.Nifti1Image(array.T, np.eye(4)), folder / "a.nii.gz")
    return folder / "a.nii.gz", array


def png(folder):
    from PIL import Image

    pixels = np.random.default_rng(SEED).integers(0, 256, (9, 7), dtype=np.uint8)
    Image.fromarray(pixels).save(folder / "a.png")
    return folder / "a.png", (pixels / 255).astype(np.float32)


def jpeg(folder):
    from PIL import Image

    pixels = np.full((16, 24, 3), (0, 255, 255), dtype=np.uint8)
    Image.fromarray(pixels).save(folder / "a.jpg", quality=95)
    decoded = np.asarray(Image.open(folder / "a.jpg"))
    return folder / "a.jpg", np.moveaxis(decoded / 255, -1, 0).astype(np.float32)


def tiff(folder):
    import tifffile

    array = real_array(3, 8, 7)
    tifffile.imwrite(folder / "a.tif", array[:2], photometric="minisblack")
    return folder / "a.tif", array[:2]


def tiff_deflate(folder):
    import tifffile

    array = real_array(8, 7)
    tifffile.imwrite(folder / "a.tiff", array, compression="zlib", tile=(16, 16))
    return folder / "a.tiff", array


def dicom(folder):
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

    stored = np.random.default_rng(SEED).integers(0, 4096, (6, 5), dtype=np.uint16)
    image = Dataset()
    image.file_meta = FileMetaDataset()
    image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    image.file_meta.MediaStorageSOPClassUID = image.SOPClassUID = CTImageStorage
    image.file_meta.MediaStorageSOPInstanceUID = image.SOPInstanceUID = generate_uid(entropy_srcs=["image"])
    image.SeriesInstanceUID = generate_uid(entropy_srcs=["series"])
    image.Rows, image.Columns, image.SamplesPerPixel = 6, 5, 1
    image.PhotometricInterpretation = "MONOCHROME2"
    image.BitsAllocated, image.BitsStored, image.HighBit, image.PixelRepresentation = 16, 12, 11, 0
    image.RescaleSlope, image.RescaleIntercept = 0.5, -1024
    image.PixelSpacing, image.SliceThickness = [0.8, 0.7], 3
    image.ImageOrientationPatient, image.ImagePositionPatient = [1, 0, 0, 0, 1, 0], [-10, -20, 30]
    image.PixelData = stored.tobytes()
    image.save_as(folder / "a.dcm", enforce_file_format=True)
    return folder / "a.dcm", (stored * 0.5 - 1024).astype(np.float32)


def fastmri(folder):
    import h5py

    array = complex_array(2, 3, 8, 6)
    with h5py.File(folder / "fastmri.h5", "w") as file:
        file["kspace"] = array
        file["reconstruction_rss"] = real_array(2, 4, 4)
        file["mask"] = np.arange(6) % 2
        file.attrs["acquisition"] = "AXT2"
    return folder / "fastmri.h5", array


def fastmri_packed(folder):
    import h5py

    array = complex_array(2, 8, 6)
    with h5py.File(folder / "packed.h5", "w") as file:
        file.create_dataset("kspace", data=array, chunks=(1, 8, 6), compression="gzip", fletcher32=True)
    return folder / "packed.h5", array[:, None]


def mrd(folder):
    import ismrmrd

    kspace = complex_array(3, 6, 8)  # coils, lines, samples
    xsd = ismrmrd.xsd
    space = xsd.encodingSpaceType(
        matrixSize=xsd.matrixSizeType(x=8, y=6, z=1), fieldOfView_mm=xsd.fieldOfViewMm(x=8, y=6, z=5)
    )
    encoding = xsd.encodingType(
        encodedSpace=space,
        reconSpace=space,
        encodingLimits=xsd.encodingLimitsType(),
        trajectory=xsd.trajectoryType("cartesian"),
    )
    conditions = xsd.experimentalConditionsType(H1resonanceFrequency_Hz=123000000)
    lines = []
    for y in range(6):
        lines.append(ismrmrd.Acquisition.from_array(np.ascontiguousarray(kspace[:, y]), center_sample=4))
        lines[-1].idx.kspace_encode_step_1 = y
    with ismrmrd.File(folder / "scan.h5", "w") as file:
        file["dataset"].header = xsd.ismrmrdHeader(experimentalConditions=conditions, encoding=[encoding])
        file["dataset"].acquisitions = lines
    return folder / "scan.h5", kspace


def bart(folder):
    array = complex_array(4, 5, 6)
    (folder / "a.hdr").write_text("# Dimensions\n6 5 4 1 1\n")
    (folder / "a.cfl").write_bytes(array.tobytes())
    return folder / "a.cfl", array


def dxchange(folder):
    import h5py

    rng = np.random.default_rng(SEED)
    dark, flat = rng.uniform(10, 20, (2, 3, 8)), rng.uniform(500, 600, (4, 3, 8))
    integrals = rng.uniform(0, 2, (5, 3, 8))
    counts = dark.mean(0) + (flat.mean(0) - dark.mean(0)) * np.exp(-integrals)
    with h5py.File(folder / "dxchange.h5", "w") as file:
        file["implements"] = "exchange:measurement"
        file["exchange/data"] = counts.astype(np.float32)
        file["exchange/data_white"], file["exchange/data_dark"] = flat, dark
        file["exchange/theta"] = np.linspace(0, 144, 5)
    return folder / "dxchange.h5", integrals.swapaxes(0, 1).astype(np.float32)


ALL = [npy, npz, nii, nii_gz, png, jpeg, tiff, tiff_deflate, dicom, fastmri, fastmri_packed, mrd, bart, dxchange]
