"""Configuration of the documentation."""

import importlib.metadata
import os
import re
import sys
from pathlib import Path

from docutils.nodes import Element, Text
from sphinx.ext.autosummary import autosummary_table

sys.path.insert(0, str(Path(__file__).parent))  # for run_examples
os.environ["TQDM_DISABLE"] = "1"  # progress bars belong in a terminal, not on a page

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
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["_build"]
templates_path = ["_templates"]

autosummary_generate = True
autodoc_typehints = "none"
autodoc_default_options = {"members": True, "inherited-members": False}
numpydoc_show_class_members = False
default_role = "py:obj"

doctest_global_setup = "import torch"

sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "gallery",
    "filename_pattern": r"\.py$",
    "image_scrapers": ("run_examples.figures",),
    "reset_argv": "run_examples.arguments",
    "reset_modules": (),
    "abort_on_example_error": True,
    "download_all_examples": False,
    "show_signature": False,
    "show_memory": False,
    "min_reported_time": 0,
    "write_computation_times": False,
    "within_subsection_order": "ExampleTitleSortKey",
    "copyfile_regex": r"README.*",
    "doc_module": ("invnet", "operators"),
    "reference_url": {"invnet": None, "operators": None},
    "backreferences_dir": "reference/backreferences",
    "prefer_full_module": {r".*"},
    "plot_gallery": True,
}

html_theme = "pydata_sphinx_theme"
html_title = "invnet"
html_sidebars = {"index": [], "quality/index": []}
html_theme_options = {
    "navigation_with_keys": False,
    "show_toc_level": 2,
    "footer_start": ["copyright"],
    "footer_end": [],
    "secondary_sidebar_items": {"**": ["page-toc"], "index": []},
}
html_static_path = ["_static"]
html_css_files = ["invnet.css"]
html_show_sourcelink = False


# The first author's initial in a list of references is no "A." of an enumeration, for which docutils takes it.
INITIAL = re.compile(r"^(\s*(?:- |\.\. \[\d+\] ))(?=[A-Z]\. )", re.MULTILINE)


def escape_initials_of_page(app, docname, source):
    """In the text of a page."""
    source[0] = INITIAL.sub(r"\1\\", source[0])


def escape_initials_of_docstring(app, what, name, obj, options, lines):
    """In the lines of a docstring."""
    lines[:] = [INITIAL.sub(r"\1\\", line) for line in lines]


def drop_citations_in_tables(app, doctree):
    """Without the numbers of references, which belong to the page that a row of a table of names leads to."""
    for table in doctree.findall(autosummary_table):
        for citation in [node for node in table.findall(Element) if node.get("refdomain") == "citation"]:
            parent = citation.parent
            place = parent.index(citation)
            if place and isinstance(parent[place - 1], Text):
                parent.replace(parent[place - 1], Text(parent[place - 1].rstrip()))
            parent.remove(citation)


def setup(app):
    """Register what this file adds to Sphinx."""
    app.connect("doctree-read", drop_citations_in_tables)
    app.connect("source-read", escape_initials_of_page)
    app.connect("autodoc-process-docstring", escape_initials_of_docstring, priority=100)  # before numpydoc
