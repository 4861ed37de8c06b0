"""Compiled inner loops: numba on the CPU, Triton on CUDA. They know numbers and arrays only, no operators."""
