"""Finite differences and solvers beside their peers: run with ``python tests/benchmarks/bench_differences_solvers.py``.

Differences: against pylops' Gradient and the nabla of deepinv's total variation. Solvers: conjugate gradients and LSQR
against scipy's and pylops', a fixed number of iterations on one and the same blur, by everyone's own operators and with
everyone's solver on ours, to tell the two apart. On a machine that does other work, ``OMP_NUM_THREADS=1`` makes the
ratios steady.
"""

import sys
from pathlib import Path

import numpy as np
import pylops
import scipy.signal
import scipy.sparse.linalg
import torch

sys.path.insert(0, str(Path(__file__).parents[2]))  # so that it runs as a script

from operators import Convolution, FiniteDifference
from operators.solve import cg, lsqr
from tests import peers
from tests.benchmarks.harness import compare, environment

SIZE, KERNEL, ITERATIONS, DAMPING = 256, 9, 30, 1e-2


def differences(shape, batch, dtype):
    """Forward and adjoint differences of the same images."""
    D, x = FiniteDifference(shape), torch.randn(*batch, *shape, dtype=dtype)
    y = D(x)
    size = " x ".join(map(str, x.shape))
    forward, adjoint = {"ours": lambda: D(x)}, {"ours": lambda: D.adjoint(y)}
    if not batch:
        G = pylops.Gradient(shape, kind="forward", edge=False, dtype=str(dtype)[6:])
        flat, data = x.numpy().ravel(), y.numpy().ravel()
        assert np.allclose(G.matvec(flat), data)
        forward["pylops Gradient"] = lambda: G.matvec(flat)
        adjoint["pylops Gradient"] = lambda: G.rmatvec(data)
    if len(shape) == 2:
        prior = peers.deepinv().optim.TVPrior()
        images = x.reshape(-1, 1, *shape)
        u = prior.nabla(images)
        assert torch.allclose(u.movedim(-1, 1).reshape(y.shape), y)
        forward["deepinv nabla"] = lambda: prior.nabla(images)
        adjoint["deepinv nabla"] = lambda: prior.nabla_adjoint(u)
    kind = str(dtype)[6:]
    return {
        f"{title}, {size}, {kind}": compare(candidates, "ours", f"{title}, {size}, {kind}")
        for title, candidates in [("differences", forward), ("their adjoint", adjoint)]
    }


def blurs(dtype):
    """The same blur, "same" by zeros, by us, by scipy and by pylops; and ours as scipy's operator."""
    kernel = torch.rand(KERNEL, KERNEL, dtype=dtype)
    kernel /= kernel.sum()
    A = Convolution(kernel, (SIZE, SIZE), padding="same")
    h, shape = kernel.numpy(), (SIZE, SIZE)
    flipped = np.ascontiguousarray(h[::-1, ::-1])

    def as_scipy(forward, adjoint):
        return scipy.sparse.linalg.LinearOperator((SIZE**2, SIZE**2), forward, adjoint, dtype=h.dtype)

    scipys = as_scipy(
        lambda v: scipy.signal.oaconvolve(v.reshape(shape), h, "same").ravel(),
        lambda v: scipy.signal.oaconvolve(v.reshape(shape), flipped, "same").ravel(),
    )
    ours = as_scipy(
        lambda v: A(torch.from_numpy(v.reshape(shape))).numpy().ravel(),
        lambda v: A.adjoint(torch.from_numpy(v.reshape(shape))).numpy().ravel(),
    )
    centre = (KERNEL // 2, KERNEL // 2)
    pylopses = pylops.signalprocessing.Convolve2D(shape, h, offset=centre, dtype=str(dtype)[6:])
    return A, ours, scipys, pylopses


def solvers(dtype):
    """So many iterations of conjugate gradients on the normal equations, and of LSQR."""
    A, ours, scipys, pylopses = blurs(dtype)
    y = A(torch.rand(SIZE, SIZE, dtype=dtype))
    gram, b, flat, data = A.gram, A.adjoint(y), y.numpy().ravel(), A.adjoint(y).numpy().ravel()
    start = np.zeros_like(data)

    def normal(S):
        return scipy.sparse.linalg.LinearOperator(
            S.shape, lambda v: S.rmatvec(S.matvec(v)) + DAMPING * v, dtype=data.dtype
        )

    N = pylopses.H @ pylopses + DAMPING * pylops.Identity(SIZE**2, dtype=data.dtype)
    damp = DAMPING**0.5
    exact = {"damp": damp, "atol": 0, "btol": 0, "conlim": 0, "iter_lim": ITERATIONS}
    by_cg = {
        "ours": lambda: cg(gram, b, shift=DAMPING, tol=0.0, max_iter=ITERATIONS, return_info=True)[0],
        "scipy cg, our operator": lambda: scipy.sparse.linalg.cg(normal(ours), data, rtol=0, maxiter=ITERATIONS)[0],
        "scipy cg": lambda: scipy.sparse.linalg.cg(normal(scipys), data, rtol=0, maxiter=ITERATIONS)[0],
        "pylops cg": lambda: pylops.cg(N, data, x0=start.copy(), niter=ITERATIONS, tol=0)[0],
    }
    by_lsqr = {
        "ours": lambda: lsqr(A, y, damping=DAMPING, tol=0.0, max_iter=ITERATIONS, return_info=True)[0],
        "scipy lsqr, our operator": lambda: scipy.sparse.linalg.lsqr(ours, flat, **exact)[0],
        "scipy lsqr": lambda: scipy.sparse.linalg.lsqr(scipys, flat, **exact)[0],
        "pylops lsqr": lambda: pylops.lsqr(
            pylopses, flat, x0=start.copy(), damp=damp, atol=0, btol=0, conlim=0, niter=ITERATIONS, calc_var=False
        )[0],
    }
    ratios = {}
    for title, candidates in [("cg", by_cg), ("lsqr", by_lsqr)]:
        expected = candidates["ours"]().numpy().ravel()
        for name, solve in candidates.items():
            got = np.asarray(solve()).ravel()
            error = np.linalg.norm(got - expected) / np.linalg.norm(expected)
            assert error < 1e-3, f"{title} by {name} differs by {error}"
        full = f"{ITERATIONS} iterations of {title}, {KERNEL} x {KERNEL} on {SIZE} x {SIZE}, {str(dtype)[6:]}"
        ratios[full] = compare(candidates, "ours", full)
    return ratios


def main():
    """Print the tables, and at last our time over that of the fastest other (with its own operator)."""
    print(environment(), end="\n\n")
    torch.manual_seed(0)
    ratios = {}
    with torch.no_grad():
        for dtype in (torch.float32, torch.float64):
            for shape, batch in [((256, 256), ()), ((512, 512), ()), ((256, 256), (8,)), ((64, 64, 64), ())]:
                ratios |= differences(shape, batch, dtype)
            ratios |= solvers(dtype)
    print(f"{'ours / fastest other':64}{'measured':>9}{'limit':>8}")
    for title, times in ratios.items():
        others = [time for name, time in times.items() if "our" not in name]
        print(f"{title:64}{1 / min(others):9.2f}{1:8.2f}")


if __name__ == "__main__":
    main()
