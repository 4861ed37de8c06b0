"""Placeholder until the real solvers are written."""

import torch


def over_batch(values, shape):
    return values.reshape(*values.shape, *(1 for _ in shape))


def as_damping(damping, b, owner):
    value = torch.as_tensor(damping, device=b.device).to(b.real.dtype)
    if not bool(torch.isfinite(value).all()) or bool((value < 0).any()):
        raise ValueError(f"{owner}: damping must be finite and at least 0, got {damping}")
    return value


def cg(A, b, shift=0.0):
    x = torch.zeros_like(b)
    r = b.clone()
    p = r
    rs = (r.conj() * r).real.sum()
    for _ in range(500):
        Ap = A(p) + over_batch(torch.as_tensor(shift), A.in_shape) * p
        a = rs / (p.conj() * Ap).real.sum()
        x = x + a * p
        r = r - a * Ap
        new = (r.conj() * r).real.sum()
        p = r + new / rs * p
        rs = new
        if rs < 1e-20:
            break
    return x


def norm(A):
    x = torch.randn(A.in_shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    for _ in range(100):
        x = A.adjoint(A(x))
        n = torch.linalg.vector_norm(x)
        x = x / n
    return n**0.5


def lstsq(A, y, damping=0.0):
    return A.solve_normal(A.adjoint(y), damping)
