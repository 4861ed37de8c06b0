"""Total variation beside scikit-image and deepinv, to the same objective: ``python tests/benchmarks/bench_map.py``."""

import sys
import time
import warnings
from pathlib import Path

import torch
from skimage.restoration import denoise_tv_chambolle

sys.path.insert(0, str(Path(__file__).parents[2]))

import invnet
import operators
from operators.solve import ConvergenceWarning
from tests.benchmarks.harness import environment
from tests.peers import deepinv

SIZE = 256
GOAL = 1e-4  # of the objective above its minimum, relative to that


def seconds_to_goal(solve, objective, minimum, efforts):
    """The processor time of the first effort that reaches the goal (else of the last), the least of three runs."""
    for effort in efforts:
        excess = objective(solve(effort)) / minimum - 1
        if excess <= GOAL:
            break
    return min(processor_time(solve, effort) for _ in range(3)), excess, effort


def processor_time(solve, effort):
    start = time.process_time()
    solve(effort)
    return time.process_time() - start


def table(title, candidates, objective, minimum):
    """Print the time of each to the goal."""
    print(f"{title}: to {GOAL:g} above the minimum")
    print(f"{'':36}{'seconds':>9}{'excess':>11}{'effort':>9}{'ratio':>8}")
    found = {name: seconds_to_goal(solve, objective, minimum, efforts) for name, (solve, efforts) in candidates.items()}
    ours = found["invnet"][0]
    for name, (seconds, excess, effort) in found.items():
        more = "" if excess <= GOAL else ">"  # it is not there yet
        print(f"{name:36}{seconds:9.4f}{excess:11.1e}{effort:9g}{more + f'{seconds / ours:.1f}':>8}", flush=True)
    print()


def denoising(weight=0.1):
    """``|x - y|^2 / 2 + weight TV(x)``."""
    generator = torch.Generator().manual_seed(0)
    physics = invnet.Physics(operators.Identity((SIZE, SIZE)), invnet.noise.Gaussian(0.1))
    y = physics(invnet.data.sample_image("camera", size=SIZE), generator=generator)
    prior, strength = invnet.priors.TotalVariation(), weight / 0.1**2

    def objective(x):
        return (0.5 * (x.double() - y.double()).square().sum() + weight * prior(x.double())).item()

    best = objective(invnet.priors.TotalVariation(tol=1e-6, max_iter=20_000).prox(y.double(), weight))
    peer = deepinv().optim
    counts = [round(10 * 1.25**k) for k in range(30)]
    table(
        f"denoising, {SIZE}x{SIZE}",
        {
            "invnet": (lambda tol: invnet.MAP(prior, strength, tol=tol)(y, physics), [3e-3, 1e-3, 3e-4, 1e-4, 3e-5]),
            "scikit-image denoise_tv_chambolle": (
                lambda n: torch.from_numpy(denoise_tv_chambolle(y.numpy(), weight=weight, eps=0, max_num_iter=n)),
                counts,
            ),
            "deepinv TVPrior.prox": (
                lambda n: peer.TVPrior(def_crit=1e-12, n_it_max=n).prox(y[None, None], gamma=weight)[0, 0],
                counts,
            ),
        },
        objective,
        best,
    )


def deblurring(sigma=0.02, strength=10.0):
    """``|A x - y|^2 / (2 sigma^2) + strength TV(x)``; the peer solves the same in its units."""
    generator = torch.Generator().manual_seed(0)
    kernel = invnet.data.gaussian_kernel(9, 1.5)
    blur = operators.Convolution(kernel, (SIZE, SIZE), padding="circular")
    physics = invnet.Physics(blur, invnet.noise.Gaussian(sigma))
    y = physics(invnet.data.sample_image("camera", size=SIZE), generator=generator)
    prior, weight = invnet.priors.TotalVariation(), strength * sigma**2

    def objective(x):
        x = x.double()
        return (0.5 * (blur(x) - y).square().sum() + weight * prior(x)).item()

    exact = invnet.MAP(prior, strength, tol=0, max_iter=1500)
    best = objective(exact(y, physics))
    peer = deepinv()
    deepinv_blur = peer.physics.Blur(filter=kernel[None, None], padding="circular")
    assert torch.allclose(deepinv_blur.A(y[None, None])[0, 0], blur(y), atol=1e-5)

    def peer_solve(inner):
        def solve(count):
            method = peer.optim.optim_builder(
                iteration="FISTA",
                data_fidelity=peer.optim.L2(),
                prior=peer.optim.TVPrior(def_crit=1e-12, n_it_max=inner),
                params_algo={"stepsize": 1.0, "lambda": weight, "a": 3},
                max_iter=count,
                early_stop=False,
            )
            return method(y[None, None], deepinv_blur)[0, 0]

        return solve

    counts = [20, 30, 40, 60, 80, 120]
    table(
        f"deblurring, {SIZE}x{SIZE}",
        {
            "invnet": (
                lambda n: invnet.MAP(prior, strength, tol=0, max_iter=n)(y, physics),
                [20, 30, 40, 50, 60, 80, 120],
            ),
            "deepinv FISTA, 10 inner iterations": (peer_solve(10), counts),
            "deepinv FISTA, 30 inner iterations": (peer_solve(30), counts),
        },
        objective,
        best,
    )


def main():
    """Print the tables."""
    print(environment())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        denoising()
        deblurring()


if __name__ == "__main__":
    main()
