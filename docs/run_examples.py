"""How the gallery runs the examples: each is told where to write its figure, which then stands on its page."""

import shutil
from pathlib import Path

# What an example is told beside ``--out``, where its defaults take minutes.
ARGUMENTS = {"deep_image_prior": ["--size", "96", "--iterations", "800"]}


def arguments(gallery_conf, script_vars):
    """The command line of an example."""
    name = Path(script_vars["src_file"]).stem
    return ["--out", f"{name}.png", *ARGUMENTS.get(name, [])]


def figures(block, block_vars, gallery_conf):
    """Move the figure that a block of an example wrote, if it wrote one, to its page."""
    from sphinx_gallery.scrapers import figure_rst

    figure = Path(block_vars["src_file"]).with_suffix(".png")
    if not figure.exists():
        return ""
    target = next(block_vars["image_path_iterator"])
    shutil.move(figure, target)
    return figure_rst([target], gallery_conf["src_dir"])
