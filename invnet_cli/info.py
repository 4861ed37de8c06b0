"""``invnet info``: versions, devices and kernels, for a report of a problem."""

from __future__ import annotations

import importlib.metadata
import platform

import click

from invnet_cli.group import debug_option

__all__ = ["info"]

_PACKAGES = (
    "invnet", "torch", "numpy", "scipy", "numba", "triton", "finufft", "cufinufft", "PyWavelets", "safetensors",
    "h5py", "ismrmrd", "nibabel", "pydicom", "pillow", "tifffile", "matplotlib", "scikit-image",
)  # fmt: skip


@click.command(epilog="\b\nExample:\n  invnet info")
@debug_option
def info() -> None:
    """Show versions, devices, and which kernels are in use."""
    rows = [("python", f"{platform.python_version()} on {platform.platform()}")]
    rows += [(name, _version(name)) for name in _PACKAGES]
    rows += _devices() + _kernels()
    for name, value in rows:
        click.echo(f"{name:24}{value}")


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def _is_there(package: str) -> bool:
    return _version(package) != "not installed"


def _devices() -> list[tuple[str, str]]:
    import torch

    rows = [("CPU", f"{platform.processor() or platform.machine()}, {torch.get_num_threads()} threads")]
    if not torch.cuda.is_available():
        return [*rows, ("CUDA", "no device")]
    for number in range(torch.cuda.device_count()):
        device = torch.cuda.get_device_properties(number)
        rows.append((f"CUDA {number}", f"{device.name}, {device.total_memory / 2**30:.0f} GiB"))
    return rows


def _kernels() -> list[tuple[str, str]]:
    import torch

    has_gpu = torch.cuda.is_available()
    missing = "not installed"
    gpu_nufft = "cufinufft" if _is_there("cufinufft") else missing
    return [
        ("tomography on CPU", "compiled by numba"),
        ("tomography on GPU", "no device" if not has_gpu else "Triton" if _is_there("triton") else "torch's own"),
        ("NUFFT on CPU", "finufft" if _is_there("finufft") else f'{missing}: pip install "invnet[mri]"'),
        ("NUFFT on GPU", gpu_nufft if has_gpu else "no device"),
    ]
