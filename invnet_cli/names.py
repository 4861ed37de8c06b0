"""The names of physics and methods, with a line on each."""

__all__ = ["METHODS", "OPTIONS", "PHYSICS", "TRAINED"]

PHYSICS = {
    "parallel-beam": "CT by parallel rays: DXchange HDF5, or line integrals (views, detectors) with --angles",
    "cartesian-mri": "k-space on a grid: fastMRI, ISMRMRD, BART cfl, or an array ([slices,] coils, H, W)",
    "noncartesian-mri": "k-space along a trajectory: ISMRMRD",
    "denoise": "a picture with noise",
    "deblur": "a picture blurred by --kernel or --blur",
    "inpaint": "a picture with holes, where --mask (or the picture itself) is black",
    "downsample": "a picture of which --factor times the resolution is wanted",
}

METHODS = {
    "direct": "the operator's direct inverse: fast, knows nothing of noise",
    "fbp": "filtered backprojection with --filter, of parallel-beam scans",
    "least-squares": "regularised least squares by conjugate gradients (CG-SENSE in MRI; of pictures the smoothest)",
    "map-tv": "the most probable image under total variation",
    "map-wavelet": "the most probable image under sparse wavelet coefficients",
    "deep-image-prior": "a network fitted to the measurement alone: minutes to hours",
    "plug-and-play": "a denoiser of photographs in the place of a prior, and steps towards the data",
    "ct-unet": "a trained network that corrects the filtered backprojection",
    "ct-itnet": "trained networks between steps towards the data of CT",
    "mri-hqs": "a denoiser, trained for MRI with coils, between steps towards the data",
    "edsr": "a trained network that makes a photograph --factor 2 or 4 times larger",
}

# Methods with trained weights, with the physics that they were trained for.
TRAINED = {
    "ct-unet": "parallel-beam",
    "ct-itnet": "parallel-beam",
    "mri-hqs": "cartesian-mri",
    "edsr": "downsample",
}

# Options that belong to some physics or methods only: to give them elsewhere is a mistake.
OPTIONS = {
    "angles": ("parallel-beam",),
    "axis": ("parallel-beam",),
    "size": ("parallel-beam",),
    "filter_name": ("fbp",),
    "maps": ("cartesian-mri", "noncartesian-mri"),
    "calibration": ("cartesian-mri", "noncartesian-mri"),
    "kernel": ("deblur",),
    "blur": ("deblur",),
    "mask": ("inpaint",),
    "factor": ("downsample",),
    "strength": ("least-squares", "map-tv", "map-wavelet"),
    "tol": ("least-squares", "map-tv", "map-wavelet"),
    "iterations": ("least-squares", "map-tv", "map-wavelet", "deep-image-prior"),
}
