"""Compiles the Triton kernels for an NVIDIA GPU of compute capability 9.0, which need not be there.

Run as a script; prints what the assembler says of each: registers, stack and spills.
"""

import inspect
import re
import subprocess
import tempfile
from pathlib import Path

import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from operators.kernels import joseph_triton as kernels

TARGET = GPUTarget("cuda", 90, 32)
DATA = ("upright", "lying", "sinograms", "images", "packed", "cotangents", "measured")
EXACT = ("views", "places", "sums")  # pointers to float64
SUMS = ("lengths", "values")  # to the type of the sums
WARPS = 4
ITEMSIZE = {"bf16": 2, "fp32": 4, "fp64": 8}


def compiled(kernel, data, **constants):
    """The kernel for data of a type; sizes are taken to be multiples of 16, as Triton finds them where they are."""
    names = list(inspect.signature(kernel.fn).parameters)
    has_views = names[0] == "views" or "lengths" in names or "values" in names
    sums = "fp64" if data == "fp64" else "fp32"
    types = dict.fromkeys(names, "i32") | dict.fromkeys(DATA, f"*{data}")
    types |= dict.fromkeys(EXACT, "*fp64") | dict.fromkeys(SUMS, f"*{sums}") | {"aims": "*fp32"}
    types |= {name: "fp64" for name in names if "spacing" in name}
    types |= {"volume": f"*{sums if 'values' in names else data}"}
    types |= {"table": "*fp64" if data == "fp64" else "*i64", "views": "*fp64" if has_views else "i32"}
    signature = {name: "constexpr" if name in constants else types[name] for name in names}
    values = {(names.index(name),): value for name, value in constants.items()}
    divisible = [name for name in names if signature[name] not in ("constexpr", "fp64")]
    attributes = {(names.index(name),): [["tt.divisibility", 16]] for name in divisible}
    source = ASTSource(kernel, signature=signature, constexprs=values, attrs=attributes)
    return triton.compile(source, target=TARGET, options={"num_warps": WARPS})


def resources(program):
    """The line of the assembler's report."""
    tool = Path(triton.__file__).parent / "backends/nvidia/bin/cuobjdump"
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(program.asm["cubin"])
        file.flush()
        command = [tool, "--dump-resource-usage", file.name]
        report = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = re.search(r"REG:\d+ STACK:\d+ SHARED:\d+ LOCAL:\d+", report)
    return found.group(0) if found else report


def main():
    """Compile all kernels for all types."""
    for data, itemsize in ITEMSIZE.items():
        images = 64 // itemsize
        group = {"FIXED": data != "fp64", "IMAGES": images, "CHUNKS": 512 // itemsize // images if itemsize > 2 else 4}
        shared = {"SHARED": True, "VIEWS": 4, "DETECTORS": 16}
        programs = {
            "pack": {"BORDER": 2, "PIXELS": 32, "IMAGES": 128},
            "project_rays": group | shared,
            "backproject_pixels": group | {"ROWS": 8, "COLUMNS": 8},
        }
        programs["project_volume"] = {"FIXED": data != "fp64", "IMAGES": 1, "COLUMNS": 4, "ROWS": 32}
        if data != "bf16":
            programs["measure_rays"], programs["aim_views"] = {"RAYS": 256}, {}
            programs["backproject_volume"] = {"IMAGES": 1, "SLABS": 4, "ALONG_A": 4, "ALONG_B": 16}
            programs["trace"] = {"FIXED": data != "fp64", "RAYS": 128}
            programs["line_sums"] = {"FIXED": data != "fp64", "IMAGES": images} | shared
        for name, constants in programs.items():
            print(f"{name} {data}: {resources(compiled(getattr(kernels, name), data, **constants))}")


if __name__ == "__main__":
    main()
