"""Whether torch only computes, or also looks on."""

from __future__ import annotations

import torch
from torch.autograd import forward_ad

__all__ = ["is_plain"]


def is_plain(*tensors: torch.Tensor) -> bool:
    """Whether nothing differentiates, transforms, traces or intercepts what is computed from the tensors.

    Then compiled code may take their memory as it is, past torch's dispatcher, which costs as much as a small image's
    convolution. Lazily conjugated or negated tensors, and those without memory, are left to the dispatcher, too.
    """
    if _is_transformed() or forward_ad._current_level >= 0 or _interceptors() > 0 or _trace() is not None:
        return False
    grad = torch.is_grad_enabled()
    for t in tensors:
        kind = type(t)
        if not (kind is torch.Tensor or kind is torch.nn.Parameter) or (grad and t.requires_grad):
            return False
        if t.is_neg() or t.is_conj() or t.is_meta:
            return False
    return True


_is_transformed = torch._C._are_functorch_transforms_active
_interceptors = torch._C._len_torch_dispatch_stack
_trace = torch._C._get_tracing_state
