"""What a call and an import cost: run with ``python tests/benchmarks/bench_overhead.py``."""

import statistics
import subprocess
import sys
import time

import torch

from operators import Identity


def microseconds(function, x, calls=20_000, rounds=15):
    """The median time of one call, in microseconds."""
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        for _ in range(calls):
            function(x)
        times.append((time.perf_counter() - start) / calls * 1e6)
    return statistics.median(times)


def import_seconds(statement, runs=7):
    """The median time of a fresh interpreter's import, as it measures it itself, in seconds."""
    code = f"import time; import torch; start = time.perf_counter(); {statement}; print(time.perf_counter() - start)"
    runs = [
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True) for _ in range(runs)
    ]
    return statistics.median(float(run.stdout) for run in runs)


def main():
    """Print call overhead and import time beside their limits."""
    A, x = Identity(1), torch.ones(1)
    bare = microseconds(lambda x: x, x)
    print(f"{'':32}{'measured':>12}{'limit':>10}")
    print(f"{'call of Identity, above bare':32}{microseconds(A, x) - bare:>9.2f} us{10:>7} us")
    print(f"{'adjoint of Identity, above bare':32}{microseconds(A.adjoint, x) - bare:>9.2f} us{10:>7} us")
    print(f"{'import operators, after torch':32}{import_seconds('import operators') * 1e3:>9.1f} ms{300:>7} ms")
    print(f"{'import invnet, after torch':32}{import_seconds('import invnet') * 1e3:>9.1f} ms{500:>7} ms")


if __name__ == "__main__":
    main()
