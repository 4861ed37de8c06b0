"""Representative instances of every public operator, by the name under which it is exported.

The battery in `test_conformance.py` runs `check_operator` on each. A name that `operators` exports must be here, so
that no operator can be forgotten: the battery fails for one without a case.
"""

import torch
from scipy.sparse.linalg import aslinearoperator

import operators
from operators import Diagonal, FiniteDifference, Identity, LinearOperator, Mask, RealToComplex, Subsample, Zero
from operators.batched import Batched

GENERATOR = torch.Generator().manual_seed(0)


def real(*shape):
    return torch.randn(*shape, generator=GENERATOR, dtype=torch.float64)


def complex_(*shape):
    return torch.randn(*shape, generator=GENERATOR, dtype=torch.complex128)


def single(*shape):
    return real(*shape).float()


def build(make):
    """The instance that a case makes: always of the same numbers, whichever others were made before."""
    GENERATOR.manual_seed(0)
    return make()


def mask(*shape):
    return torch.rand(*shape, generator=GENERATOR) > 0.4


def points(shape, *samples):
    return (torch.rand(*samples, len(shape), generator=GENERATOR, dtype=torch.float64) - 0.5) * torch.tensor(shape)


def learnable(tensor):
    return torch.nn.Parameter(tensor)


class Roll(LinearOperator):
    """An operator that knows nothing but its forward map."""

    def __init__(self, length):
        super().__init__(length, length)

    def _forward(self, x):
        return x.roll(1, -1) + 2 * x


def cumulate(x):
    return x.cumsum(0)


CASES = {
    "LinearOperator": [lambda: Roll(5), lambda: Roll(5).H, lambda: Roll(5).gram],
    "Identity": [lambda: Identity((3, 4))],
    "Zero": [lambda: Zero((3, 4), 5), lambda: Zero((), ()), lambda: Zero(2, (2, 3))],
    "Diagonal": [
        lambda: Diagonal(single(3, 4)),
        lambda: Diagonal(complex_(5)),
        lambda: Diagonal(learnable(real(2, 3))),
        lambda: Diagonal(learnable(complex_(4))),
        lambda: Diagonal(torch.tensor([2.0, 0.0, -1.0])),
        lambda: Diagonal(single(3).bfloat16()),
        lambda: Diagonal(torch.tensor(2.0)),
    ],
    "Mask": [lambda: Mask(mask(4, 5))],
    "Matrix": [
        lambda: operators.Matrix(real(4, 6), in_shape=(2, 3)),
        lambda: operators.Matrix(learnable(complex_(3, 2))),
        lambda: operators.Matrix((real(5, 6) * mask(5, 6)).to_sparse(), in_shape=(3, 2)),
        lambda: operators.Matrix((complex_(4, 3) * mask(4, 3)).to_sparse_csr(), out_shape=(2, 2)),
        lambda: operators.Matrix(learnable((single(4, 3) * mask(4, 3)).to_sparse())),
    ],
    "Subsample": [lambda: Subsample((5, 6), 2), lambda: Subsample((7, 3, 4), (3, 1, 2)), lambda: Subsample(4, 9)],
    "RealToComplex": [lambda: RealToComplex((3, 2)), lambda: RealToComplex((3, 2)).H],
    "Convolution": [
        *(
            lambda padding=padding, method=method: operators.Convolution(
                real(3, 5), (6, 8), padding=padding, method=method
            )
            for padding in ("valid", "same", "full", "circular", "reflect", "replicate")
            for method in ("direct", "fft")
        ),
        lambda: operators.Convolution(real(3), 7, stride=2, padding="reflect", mode="correlation", method="direct"),
        lambda: operators.Convolution(real(4), 9, stride=2, method="fft"),
        lambda: operators.Convolution(real(2, 3, 2), (4, 5, 4), padding="circular", method="fft"),
        lambda: operators.Convolution(real(3, 3), (6, 4), stride=2, padding="circular", method="fft"),
        lambda: operators.Convolution(single(2, 3, 3, 3), (3, 5, 6), padding="same", method="direct"),
        lambda: operators.Convolution(complex_(2, 2, 3), (2, 8), padding="replicate", method="fft"),
        lambda: operators.Convolution(complex_(3, 2), (5, 6), mode="correlation", method="direct"),
        lambda: operators.Convolution(learnable(real(3, 3)), (5, 6), padding="reflect", method="fft"),
        lambda: operators.Convolution(learnable(complex_(3)), 6, padding="circular", method="direct"),
        lambda: operators.Convolution(real(3, 3), (5, 6), padding="circular").gram,
        lambda: operators.Convolution(single(5), 47, padding="circular", method="fft"),  # a slow length
        lambda: Subsample((6, 8), 2) @ operators.Convolution(real(3, 3), (6, 8), padding="circular"),
    ],
    "TransposedConvolution": [
        lambda: operators.TransposedConvolution(real(3), 5, stride=2, padding=1, output_padding=1),
        lambda: operators.TransposedConvolution(real(3, 2), (4, 5), stride=(1, 2), mode="convolution"),
        lambda: operators.TransposedConvolution(learnable(real(2, 3, 3, 3)), (2, 4, 4), stride=2, padding=1),
        lambda: operators.TransposedConvolution(complex_(2, 2, 2), (3, 3, 3)),
    ],
    "FiniteDifference": [
        lambda: FiniteDifference(5),
        lambda: FiniteDifference((4, 5)),
        lambda: FiniteDifference((3, 1, 4)),
        lambda: FiniteDifference((4, 5), boundary="circular"),
    ],
    "FourierTransform": [
        lambda: operators.FourierTransform(5),
        lambda: operators.FourierTransform((4, 5)),
        lambda: operators.FourierTransform((3, 4, 2), dims=(0, 2), centered=False),
        lambda: operators.FourierTransform((4, 3), norm="backward"),
        lambda: operators.FourierTransform((4, 5)) @ RealToComplex((4, 5)),
    ],
    "NUFFT": [
        lambda: operators.NUFFT(points((7,), 12), 7, tolerance=1e-12),
        lambda: operators.NUFFT(points((6, 5), 4, 9), (6, 5), tolerance=1e-12),
        lambda: operators.NUFFT(points((3, 4, 2), 30), (3, 4, 2), tolerance=1e-12, norm="backward"),
        lambda: operators.NUFFT(learnable(points((6, 5), 20)), (6, 5), tolerance=1e-12),
        lambda: operators.NUFFT(points((6, 5), 40), (6, 5), tolerance=1e-12) @ RealToComplex((6, 5)),
    ],
    "Toeplitz": [
        lambda: operators.Toeplitz(real(9)),
        lambda: operators.Toeplitz(complex_(5, 7)),
        lambda: operators.Toeplitz(real(15, 19)),  # of these sizes on, by compiled code
        lambda: operators.Toeplitz(complex_(19, 15), hermitian=True),
        lambda: operators.Toeplitz(learnable(complex_(5, 3))),
        lambda: operators.Toeplitz(learnable(real(3, 3, 5)), hermitian=True),
        lambda: operators.NUFFT(points((6, 5), 40), (6, 5)).gram,
    ],
    "CartesianMRI": [
        lambda: operators.CartesianMRI(mask(5, 6)),
        lambda: operators.CartesianMRI(mask(6), complex_(3, 5, 6)),
        lambda: operators.CartesianMRI(mask(6), in_shape=(4, 6)),
        lambda: operators.CartesianMRI(real(4, 6), complex_(2, 3, 4, 6)),
        lambda: operators.CartesianMRI(mask(3, 4, 2), complex_(2, 3, 4, 2).to(torch.complex64)),
        lambda: operators.CartesianMRI(learnable(real(5, 6)), learnable(complex_(2, 5, 6))),
        lambda: operators.CartesianMRI(learnable(real(6)), in_shape=(4, 6)),
        lambda: operators.CartesianMRI(2 * torch.ones(4, 6)),
        lambda: operators.CartesianMRI(mask(6), complex_(3, 5, 6)).gram,
        lambda: operators.CartesianMRI(mask(4, 6)) @ RealToComplex((4, 6)),
    ],
    "NonCartesianMRI": [
        lambda: operators.NonCartesianMRI(points((5, 6), 20), (5, 6), tolerance=1e-12),
        lambda: operators.NonCartesianMRI(points((5, 6), 4, 5), (5, 6), complex_(2, 5, 6), tolerance=1e-12),
        lambda: operators.NonCartesianMRI(points((5, 6), 20), (5, 6), complex_(2, 2, 5, 6), tolerance=1e-12),
        lambda: operators.NonCartesianMRI(
            learnable(points((5, 6), 9)), (5, 6), learnable(complex_(2, 5, 6)), tolerance=1e-12
        ),
    ],
    "OffResonance": [
        lambda: operators.mri.OffResonance(
            operators.NonCartesianMRI(points((5, 6), 3, 4), (5, 6), complex_(2, 5, 6), tolerance=1e-12),
            80 * real(5, 6),
            torch.linspace(0, 0.02, 4, dtype=torch.float64),
        ),
        lambda: operators.mri.OffResonance(
            operators.CartesianMRI(mask(6), in_shape=(5, 6)), learnable(50 * real(5, 6)), 0.02 * real(5, 6).abs(), 1e-5
        ),
    ],
    "SensitivityMaps": [
        lambda: operators.mri.SensitivityMaps(complex_(3, 4, 5)),
        lambda: operators.mri.SensitivityMaps(real(3, 5)),
        lambda: operators.mri.SensitivityMaps(learnable(complex_(2, 3, 4)), dims=1),
    ],
    "AveragePool": [
        lambda: operators.AveragePool(6, 2),
        lambda: operators.AveragePool((4, 6), (2, 3)),
        lambda: operators.AveragePool((2, 4, 6), 2),
    ],
    "Downsample": [
        lambda: operators.Downsample((8, 12), 4),
        lambda: operators.Downsample((9, 7), 2),
        lambda: operators.Downsample(70, 2),
        lambda: operators.Downsample((6, 6), (3, 1), kernel="box"),
        lambda: operators.Downsample((8, 6), 2, kernel="gaussian"),
        lambda: operators.Downsample((4, 4, 4), 2, kernel="bilinear"),
        lambda: operators.Downsample((6, 8), 2, kernel=learnable(real(3, 4))),
        lambda: operators.Downsample((6, 8), 2, kernel=complex_(3)),
    ],
    "Upsample": [
        lambda: operators.Upsample((3, 4), 2),
        lambda: operators.Upsample((3, 4), (2, 3), mode="bilinear"),
        lambda: operators.Upsample((4, 5), 2, mode="bicubic"),
    ],
    "Grayscale": [
        lambda: operators.Grayscale((3, 4, 5)),
        lambda: operators.Grayscale((3, 4), weights="bt709"),
    ],
    "ChannelMix": [
        lambda: operators.ChannelMix(single(2, 3), (3, 4, 2)),
        lambda: operators.ChannelMix(learnable(real(3, 2)), (2, 4)),
        lambda: operators.ChannelMix(learnable(complex_(2, 2)), 2),
    ],
    "BayerMosaic": [
        lambda: operators.BayerMosaic((3, 4, 6)),
        lambda: operators.BayerMosaic((3, 5, 3), pattern="GBRG"),
    ],
    "ParallelBeam": [
        lambda: operators.ParallelBeam((9, 7), torch.linspace(0, 3, 5)),
        lambda: operators.ParallelBeam((40, 34), torch.linspace(-4, 2, 6), detectors=64, pixel_size=(0.8, 1.1)),
        lambda: operators.ParallelBeam((6, 8), learnable(torch.linspace(0.1, 3, 4).double()), detector_spacing=0.4),
        lambda: operators.ParallelBeam((5, 5), [0.3], detector_offset=learnable(real(1)), center=learnable(real(2))),
        lambda: operators.ParallelBeam((5, 5), torch.linspace(0, 3, 6)).subset([1, 4]),
        lambda: operators.ParallelBeam((9, 8), torch.linspace(0, 3, 5), model="fourier", tolerance=1e-13),
        lambda: operators.ParallelBeam((6, 8), torch.linspace(0, 3, 4), 7, model="fourier", tolerance=1e-13),
    ],
    "FanBeam": [
        lambda: operators.FanBeam((9, 7), torch.linspace(0, 6, 5), 16, 20.0, 10.0),
        lambda: operators.FanBeam((7, 9), torch.linspace(0, 6, 5), 16, 9.0, 0.0, "curved", pixel_size=(0.7, 1.1)),
        lambda: operators.FanBeam(
            (5, 6), learnable(torch.linspace(0, 6, 3).double()), 9, 12.0, learnable(real(1)[0].abs())
        ),
        lambda: operators.FanBeam((5, 6), [0.2, 1.4], 12, 12.0, 2.0, "curved", detector_offset=learnable(real(2))),
    ],
    "ParallelBeam3D": [
        lambda: operators.ParallelBeam3D((3, 4, 5), torch.linspace(0, 3, 4)),
        lambda: operators.ParallelBeam3D(
            (3, 4, 3),
            learnable(torch.linspace(0.1, 3, 5).double()),
            (8, 11),
            (0.8, 1.1, 0.9),
            (1.0, -0.9),
            learnable(real(2)),
        ),
    ],
    "ConeBeam": [
        lambda: operators.ConeBeam((5, 6, 4), torch.linspace(0, 6, 5), (10, 12), 12.0, 6.0),
        lambda: operators.ConeBeam(
            (3, 5, 5), torch.linspace(-6, 6, 4), (4, 11), 9.0, 0.0, 4.0, (0.7, 1.1, 0.9), (1, 0.8)
        ),
        lambda: operators.ConeBeam(
            (3, 4, 3),
            learnable(torch.linspace(0.1, 6, 3).double()),
            (9, 10),
            learnable(real(1)[0].abs() + 12),
            2.0,
            learnable(real(1)[0]),
            detector_offset=learnable(real(3, 2)),
            center=learnable(real(3) / 8),
        ),
        lambda: operators.ConeBeam((3, 4, 4), torch.linspace(0, 6, 5), (9, 10), 12.0, 2.0).subset([3, 0]),
    ],
    "VectorBeam": [
        lambda: operators.VectorBeam((4, 5), real(3, 6), 8),
        lambda: operators.VectorBeam((4, 5), learnable(10 * real(3, 6)), 8, "fan"),
        lambda: operators.VectorBeam((3, 4, 5), real(4, 12), (6, 7)),
        lambda: operators.VectorBeam((3, 4, 5), 30 + 10 * real(4, 12), (6, 7), "cone"),
        lambda: operators.VectorBeam((3, 4, 2), learnable(real(4, 12)), (3, 5), "parallel", 0.8),
    ],
    "Wavelet": [
        lambda: operators.Wavelet(8, "haar"),
        lambda: operators.Wavelet((8, 12), "db2", level=2),
        lambda: operators.Wavelet((4, 6), "sym8"),
        lambda: operators.Wavelet((4, 2, 8), "coif1"),
        lambda: operators.Wavelet((8, 8), "bior4.4", level=2),
        lambda: operators.Wavelet((132, 2), "db2", level=1),
    ],
    "vstack": [
        lambda: operators.vstack([Diagonal(real(2, 3)), Mask(mask(2, 3))]),
        lambda: operators.vstack([Roll(4), Subsample(4, 2)]),
        lambda: operators.vstack([Identity((3, 4)), 0.5 * FiniteDifference((3, 4))]),
    ],
    "hstack": [
        lambda: operators.hstack([Diagonal(real(3)), Roll(3)]),
        lambda: operators.hstack([Zero(2, 3), Roll(3)]),
    ],
    "block_diag": [
        lambda: operators.block_diag([Diagonal(real(3)), Roll(3)]),
        lambda: operators.block_diag([Subsample((4, 2), 2), Roll(3)]),
    ],
    "normalize": [lambda: operators.normalize(Roll(4)), lambda: operators.normalize(Diagonal(learnable(real(3))))],
    "from_scipy": [
        lambda: operators.interop.from_scipy(aslinearoperator(real(6, 4).numpy()), in_shape=(2, 2)),
        lambda: operators.interop.from_scipy(aslinearoperator(complex_(3, 4).numpy())),
    ],
    "from_function": [lambda: operators.from_function(cumulate, (3, 2)), lambda: operators.from_function(torch.sum, 3)],
}

# Expressions: what the algebra makes of operators.
EXPRESSIONS = [
    lambda: Roll(5) @ Diagonal(real(5)),
    lambda: Roll(5) + Diagonal(real(5)),
    lambda: Roll(5) - 2 * Roll(5),
    lambda: (0.5 - 2j) * Roll(5),
    lambda: torch.tensor(0.5) * Roll(5),
    lambda: learnable(torch.tensor(0.5 - 2j)) * Roll(5),
    lambda: 0 * Subsample((3, 4), 2),
    lambda: Subsample((3, 4), 2) - Subsample((3, 4), 2),
    lambda: -Subsample((3, 4), 2).H,
    lambda: Subsample((4, 5), 2) @ Mask(mask(4, 5)) @ Diagonal(real(4, 5)),
    lambda: Mask(mask(4, 5)) @ operators.FourierTransform((4, 5)),
    lambda: (Mask(mask(4, 5)) @ operators.FourierTransform((4, 5))).gram,
    lambda: Batched(Roll(4), (2, 3)),
    lambda: Roll(4) @ Diagonal(real(3, 4)),
    lambda: Diagonal(real(3, 4)) @ Roll(4),
    lambda: operators.vstack([Identity((3, 4)), FiniteDifference((3, 4))]).gram,
    lambda: FiniteDifference((3, 4), boundary="circular").gram,
    lambda: 2 * FiniteDifference((3, 4)).gram + Identity((3, 4)),
    lambda: (operators.FourierTransform((4, 5)) @ RealToComplex((4, 5))).H,
    lambda: (2 - 1j) * Diagonal(learnable(real(3))) @ Roll(3),
    lambda: operators.vstack([Diagonal(learnable(real(4))), Roll(4)]),
]
