"""Configuration of the documentation."""

import importlib.metadata

project = "invnet"
author = "The invnet developers"
copyright = "2026, the invnet developers"  # noqa: A001 (the name that Sphinx reads)
release = importlib.metadata.version("invnet")
version = release

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.doctest",
    "numpydoc",
    "sphinx_copybutton",
    "sphinx-mathjax-offline",
]
exclude_patterns = ["_build"]

autosummary_generate = True
autodoc_typehints = "none"
autodoc_default_options = {"members": True, "inherited-members": False}
numpydoc_show_class_members = False
default_role = "py:obj"

doctest_global_setup = "import torch"

html_theme = "pydata_sphinx_theme"
html_title = "invnet"
html_theme_options = {
    "navigation_with_keys": False,
    "show_toc_level": 2,
    "footer_start": ["copyright"],
    "footer_end": [],
}
html_sidebars = {"explanation/*": []}
html_static_path = ["_static"]
