"""The command ``invnet``.

It is a package beside `invnet` rather than in it, so that ``invnet --help`` and shell completion need not import torch:
what a command needs is imported when it runs.
"""
