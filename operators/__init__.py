"""Matrix-free linear operators on torch tensors, each with its exact adjoint."""

from operators import interop, mri
from operators.algebra import normalize
from operators.basic import Identity, RealToComplex, Subsample, Zero
from operators.color import BayerMosaic, ChannelMix, Grayscale
from operators.convolution import Convolution
from operators.core import LinearOperator
from operators.ct.cone import ConeBeam
from operators.ct.fan import FanBeam
from operators.ct.parallel import ParallelBeam
from operators.ct.parallel3d import ParallelBeam3D
from operators.ct.vectors import VectorBeam
from operators.diagonal import Diagonal, Mask
from operators.differences import FiniteDifference
from operators.fourier import FourierTransform
from operators.function import from_function
from operators.matrix import Matrix
from operators.mri import CartesianMRI, NonCartesianMRI
from operators.nufft import NUFFT
from operators.resample import AveragePool, Downsample, Upsample
from operators.stack import block_diag, hstack, vstack
from operators.toeplitz import Toeplitz
from operators.transposed_convolution import TransposedConvolution
from operators.wavelet import Wavelet

__all__ = [
    "NUFFT",
    "AveragePool",
    "BayerMosaic",
    "CartesianMRI",
    "ChannelMix",
    "ConeBeam",
    "Convolution",
    "Diagonal",
    "Downsample",
    "FanBeam",
    "FiniteDifference",
    "FourierTransform",
    "Grayscale",
    "Identity",
    "LinearOperator",
    "Mask",
    "Matrix",
    "NonCartesianMRI",
    "ParallelBeam",
    "ParallelBeam3D",
    "RealToComplex",
    "Subsample",
    "Toeplitz",
    "TransposedConvolution",
    "Upsample",
    "VectorBeam",
    "Wavelet",
    "Zero",
    "block_diag",
    "from_function",
    "hstack",
    "interop",
    "mri",
    "normalize",
    "vstack",
]
