"""Which module measures which pretrained model, and the folders of images that they measure on.

Each module has ``measure(name, folders)``, a mapping from the test to the mean PSNR in dB, for the model's card, and
``table(name, folders)``, the lines of a table with the peers beside the model. `folders` has those that were given.
"""

from tests.quality import denoising, mri, regularisers, super_resolution, tomography

QUALITY = {
    "denoiser-gray": denoising,
    "denoiser-color": denoising,
    "dncnn-25": denoising,
    "ct-unet": tomography,
    "ct-itnet": tomography,
    "mri-unet": mri,
    "mri-hqs": mri,
    "ridge": regularisers,
    "edsr-x2": super_resolution,
    "edsr-x4": super_resolution,
    "srcnn-x2": super_resolution,
    "srcnn-x4": super_resolution,
    "vdsr": super_resolution,
}

FOLDERS = {
    "set12": "the folder of Set12's images",
    "set5": "the folder of Set5's images",
    "scans": "a folder with scans, ct/tooth.h5 and mri/brain_8coil_poisson_kspace.npy",
}


def add_folders(parser):
    """The options of the folders, none of which has to be given."""
    for name, text in FOLDERS.items():
        parser.add_argument(f"--{name}", default="", metavar="DIR", help=text)


def given_folders(arguments):
    """The folders that were given, by name."""
    return {name: getattr(arguments, name) for name in FOLDERS if getattr(arguments, name)}
