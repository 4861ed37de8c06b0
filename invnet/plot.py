"""Pictures of reconstructions side by side."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from invnet import metrics
from invnet.checks import check_range
from operators.checks import check_finite
from operators.extras import require

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["Box", "Images", "compare"]

Images = Mapping[str, torch.Tensor]  # by the titles of the columns
Box = tuple[int, int, int, int]  # top, left, height, width in pixels

# Lengths in inches: the band of titles above, of captions below each row, of row labels at the left, and the gaps.
_TITLE, _CAPTION, _LABEL, _GAP, _MARGIN = 0.26, 0.28, 0.28, 0.07, 0.08
_INSET = 0.44  # longest side of an inset, as a share of the panel's
_ACCENT = "#ff9d00"
_TEXT = {"fontsize": 9, "color": "#222222"}


def compare(
    images: Images | Mapping[str, Images],
    reference: str | torch.Tensor | None = None,
    *,
    ssim: bool = False,
    value_range: tuple[float, float] | None = (0.0, 1.0),
    zoom: Box | Mapping[str, Box] | None = None,
    data_columns: Collection[str] = (),
    panel_width: float = 2.2,
    path: str | Path | None = None,
) -> Figure:
    """Draw images side by side, with their PSNR below: a column for each method, a row for each case.

    Parameters
    ----------
    images : mapping of title to tensor, or mapping of row label to such a mapping
        The columns of one row, or of several rows, which then have the same columns. An image has the shape ``(H, W)``,
        or ``(3, H, W)`` for colour; leading dimensions of size one are dropped; of a complex image the magnitude is
        shown. An image of another size than the reference fills a panel all the same, and has no PSNR.
    reference : str or torch.Tensor, shape as the images, optional
        The truth: the title of its column, or, if it is not to be shown, an image.
    ssim : bool
        Whether to write the SSIM beside the PSNR.
    value_range : (float, float), optional
        The intensities shown as black and as white, in units of the images; their difference is the `data_range` of
        PSNR and SSIM. With None, the range of each row's reference (without one, of its first image).
    zoom : (int, int, int, int), or mapping of row label to these, optional
        Top, left, height and width in pixels of the reference (without one, of the first image) of a box to show
        enlarged in a corner.
    data_columns : collection of str
        Titles of columns that show data of another kind than the image (a sinogram, k-space): each on its own range of
        intensities and without an enlarged box.
    panel_width : float
        In inches.
    path : str or Path, optional
        Where to save the figure; the suffix tells the format.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    TypeError, ValueError
        If an image is not a finite real or complex tensor of such a shape, there is none, rows have different columns,
        a title is unknown, the range is empty, or a box is not inside of the image.
    ImportError
        If matplotlib, or scikit-image where PSNR is asked for, is not installed.

    Examples
    --------
    >>> import invnet
    >>> x = invnet.data.sample_image("camera", size=64)
    >>> figure = compare({"Truth": x, "Brighter": x + 0.1}, reference="Truth", zoom=(10, 24, 16, 16))
    >>> [text.get_text() for text in figure.texts]
    ['Truth', 'Brighter', 'PSNR', '20.00 dB']
    """
    rows = _rows(images, reference, value_range, zoom, data_columns)
    figure = _draw(rows, data_columns, ssim, panel_width)
    if path is not None:
        figure.savefig(path)
    return figure


@dataclasses.dataclass
class _Row:
    """One row, with everything checked: images as real tensors of shape ``(H, W)`` or ``(3, H, W)``."""

    label: str
    images: dict[str, torch.Tensor]
    reference: torch.Tensor | None
    reference_title: str | None
    frame: tuple[int, int]  # height and width in pixels, whose coordinates panels share
    value_range: tuple[float, float]
    zoom: Box | None


def _rows(
    images: Images | Mapping[str, Images],
    reference: str | torch.Tensor | None,
    value_range: tuple[float, float] | None,
    zoom: Box | Mapping[str, Box] | None,
    data_columns: Collection[str],
) -> list[_Row]:
    if not isinstance(images, Mapping) or not images:
        raise ValueError("compare: takes a mapping of titles to images with at least one entry")
    nested = all(isinstance(value, Mapping) for value in images.values())
    table: Mapping[str, Mapping[str, torch.Tensor]] = images if nested else {"": images}  # type: ignore[dict-item, assignment]
    titles = list(next(iter(table.values())))
    if not titles or any(list(row) != titles for row in table.values()):
        raise ValueError(f"compare: takes rows of the same columns, got {[list(row) for row in table.values()]}")
    unknown = [t for t in (*data_columns, *([reference] if isinstance(reference, str) else [])) if t not in titles]
    if unknown:
        raise ValueError(f"compare: no column {unknown[0]!r}; there are {', '.join(titles)}")
    boxes = zoom if isinstance(zoom, Mapping) else dict.fromkeys(table, zoom)
    if set(boxes) - set(table):
        raise ValueError(f"compare: zoom names the rows {list(boxes)}, but there are {list(table)}")
    return [_row(label, row, reference, value_range, boxes.get(label)) for label, row in table.items()]


def _row(
    label: str,
    row: Images,
    reference: str | torch.Tensor | None,
    value_range: tuple[float, float] | None,
    zoom: Box | None,
) -> _Row:
    images = {title: _as_image(image, repr(title)) for title, image in row.items()}
    title = reference if isinstance(reference, str) else None
    truth = images[title] if title is not None else None
    if isinstance(reference, torch.Tensor):
        truth = _as_image(reference, "the reference")
    main = next(iter(images.values())) if truth is None else truth
    low, high = (main.min().item(), main.max().item()) if value_range is None else value_range
    if value_range is None and low == high:
        high = low + 1  # a constant image is shown black
    frame = (main.shape[-2], main.shape[-1])
    if zoom is not None:
        _check_box(zoom, frame)
    return _Row(label, images, truth, title, frame, check_range(low, high, "compare"), zoom)


def _as_image(image: torch.Tensor, name: str) -> torch.Tensor:
    """The image, checked, as a real tensor on the CPU."""
    check_finite(image, "compare", name)
    result = (image.detach().abs() if image.is_complex() else image.detach()).cpu().float()
    while result.ndim > 2 and result.shape[0] == 1:
        result = result[0]
    if not (result.ndim == 2 or (result.ndim == 3 and result.shape[0] == 3)) or result.numel() == 0:
        raise ValueError(
            f"compare: takes images of shape (H, W), (1, H, W) or (3, H, W), got {tuple(image.shape)} for {name}"
        )
    return result


def _check_box(box: Box, frame: tuple[int, int]) -> None:
    top, left, height, width = box
    if min(top, left) < 0 or min(height, width) < 1 or top + height > frame[0] or left + width > frame[1]:
        raise ValueError(f"compare: zoom takes (top, left, height, width) inside of {frame} pixels, got {box}")


def _draw(rows: list[_Row], data_columns: Collection[str], ssim: bool, panel_width: float) -> Figure:
    titles = list(rows[0].images)
    left = _MARGIN + (_LABEL if any(row.label for row in rows) else 0)
    width = left + len(titles) * (panel_width + _GAP) - _GAP + _MARGIN
    heights = [panel_width * row.frame[0] / row.frame[1] for row in rows]
    total = _TITLE + sum(heights) + len(rows) * _CAPTION + _MARGIN
    figure = require("matplotlib.figure", extra="plot").Figure(figsize=(width, total), dpi=200, facecolor="white")
    centres = [(left + k * (panel_width + _GAP) + panel_width / 2) / width for k in range(len(titles))]
    for title, x in zip(titles, centres, strict=True):
        figure.text(x, 1 - _TITLE / 2 / total, title, ha="center", va="center", **_TEXT)

    bottom = total - _TITLE
    for row, height in zip(rows, heights, strict=True):
        bottom -= height
        captions, best = _captions(row, data_columns, ssim)
        if row.label:
            middle = (bottom + height / 2) / total
            x = (left - _LABEL / 2) / width
            figure.text(x, middle, row.label, ha="center", va="center", rotation=90, **_TEXT)
        for title, centre in zip(titles, centres, strict=True):
            size = (panel_width / width, height / total)
            axes = figure.add_axes((centre - size[0] / 2, bottom / total, *size))
            _panel(axes, row, title, is_data=title in data_columns)
            weight = "bold" if title == best else "normal"
            y = (bottom - 0.45 * _CAPTION) / total
            figure.text(centre, y, captions[title], ha="center", va="center", weight=weight, **_TEXT)
        bottom -= _CAPTION
    return figure


def _panel(axes: Axes, row: _Row, title: str, is_data: bool) -> None:
    image = row.images[title]
    _show(axes, image, image.shape[-2:] if is_data else row.frame, None if is_data else row.value_range)
    if row.zoom is None or is_data:
        return
    top, left, height, width = row.zoom
    rectangle = require("matplotlib.patches", extra="plot").Rectangle
    axes.add_patch(rectangle((left, top), width, height, fill=False, edgecolor=_ACCENT, linewidth=0.9))
    inset = axes.inset_axes(_corner(row.zoom, row.frame))
    _show(inset, image, row.frame, row.value_range)
    inset.set(xlim=(left, left + width), ylim=(top + height, top))
    for spine in inset.spines.values():
        spine.set(visible=True, edgecolor=_ACCENT, linewidth=1.2)


def _show(axes: Axes, image: torch.Tensor, frame: tuple[int, ...], value_range: tuple[float, float] | None) -> None:
    """Show an image in the coordinates of a frame, of which it has perhaps another number of pixels."""
    low, high = (image.min().item(), image.max().item()) if value_range is None else value_range
    if image.ndim == 3:
        image = ((image - low) / ((high - low) or 1)).clamp(0, 1).permute(1, 2, 0)
    is_coarse = image.shape[0] < frame[0] or image.shape[1] < frame[1]
    axes.imshow(
        image.numpy(),
        cmap="gray",
        vmin=low,
        vmax=high,
        extent=(0, frame[1], frame[0], 0),
        interpolation="nearest" if is_coarse else "auto",
    )
    axes.set(xticks=[], yticks=[])
    for spine in axes.spines.values():
        spine.set_visible(False)


def _corner(box: Box, frame: tuple[int, int]) -> tuple[float, float, float, float]:
    """Where the inset goes, as shares of the panel (from its left and bottom): the corner farthest from the box."""
    top, left, height, width = box
    scale = _INSET * min(frame) / max(height, width)
    w, h = scale * width / frame[1], scale * height / frame[0]
    at_right = left + width / 2 < frame[1] / 2
    at_bottom = top + height / 2 < frame[0] / 2
    return (1 - w if at_right else 0.0), (0.0 if at_bottom else 1 - h), w, h


def _captions(row: _Row, data_columns: Collection[str], ssim: bool) -> tuple[dict[str, str], str | None]:
    """What stands below each image, and the title of the one with the highest PSNR where several have one."""
    captions: dict[str, str] = {}
    scores: dict[str, float] = {}
    for title, image in row.images.items():
        if title == row.reference_title:
            captions[title] = "PSNR / SSIM" if ssim else "PSNR"
        elif row.reference is None or image.shape != row.reference.shape or title in data_columns:
            captions[title] = f"{image.shape[-2]} \N{MULTIPLICATION SIGN} {image.shape[-1]} pixels"
        else:
            scores[title], captions[title] = _score(image, row.reference, row.value_range, ssim)
    return captions, max(scores, key=scores.__getitem__) if len(scores) > 1 else None


def _score(
    image: torch.Tensor, reference: torch.Tensor, value_range: tuple[float, float], ssim: bool
) -> tuple[float, str]:
    data_range = value_range[1] - value_range[0]
    decibels = metrics.psnr(image, reference, data_range, dims=image.ndim).item()
    if not ssim:
        return decibels, f"{decibels:.2f} dB"
    similarity = metrics.ssim(image, reference, data_range, color=image.ndim == 3).item()
    return decibels, f"{decibels:.2f} dB / {similarity:.3f}"
