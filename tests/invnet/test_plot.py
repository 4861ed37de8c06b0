"""The comparison figure: what it writes, and the pixels that it draws."""

import io
import sys

import matplotlib.image
import numpy as np
import pytest
import torch

from invnet.plot import compare


def grey(value, *shape):
    return torch.full(shape or (20, 30), float(value))


def texts(figure):
    return [text.get_text() for text in figure.texts]


def drawn(figure):
    """The figure's pixels, and a function from shares of a panel (from its top left) to a pixel's colour."""
    file = io.BytesIO()
    figure.savefig(file, format="png")
    file.seek(0)
    pixels = np.rint(matplotlib.image.imread(file)[..., :3] * 255).astype(int)
    height, width = pixels.shape[:2]

    def colour(panel, down, right):
        box = figure.axes[panel].get_position()
        x, y = box.x0 + right * box.width, box.y1 - down * box.height
        return tuple(pixels[int((1 - y) * height), int(x * width)].tolist())

    return pixels, colour


# -------------------------------------------------------------------- text


def test_psnr_stands_below_each_image_and_the_best_is_bold():
    truth = grey(0.5)
    figure = compare({"Truth": truth, "A": truth + 0.1, "B": truth - 0.01}, reference="Truth")
    assert texts(figure) == ["Truth", "A", "B", "PSNR", "20.00 dB", "40.00 dB"]
    assert [t.get_weight() for t in figure.texts[3:]] == ["normal", "normal", "bold"]


def test_ssim_on_request():
    truth = torch.rand(32, 32, generator=torch.Generator().manual_seed(0))
    figure = compare({"Truth": truth, "Same": truth}, reference="Truth", ssim=True)
    assert texts(figure)[2:] == ["PSNR / SSIM", "inf dB / 1.000"]


def test_a_reference_that_is_not_shown():
    assert texts(compare({"A": grey(0.6)}, reference=grey(0.5))) == ["A", "20.00 dB"]


def test_without_a_reference_the_sizes_stand_below():
    assert texts(compare({"A": grey(0.6)})) == ["A", "20 × 30 pixels"]  # noqa: RUF001 (the sign of multiplication)


def test_rows_with_measurements_of_other_sizes():
    rows = {
        "Blur": {"Truth": grey(0.5), "Data": grey(0.4), "MAP": grey(0.49)},
        "4x": {"Truth": grey(0.5), "Data": grey(0.4, 5, 7), "MAP": grey(0.51)},
    }
    figure = compare(rows, reference="Truth")
    assert texts(figure) == [
        *("Truth", "Data", "MAP"),
        *("Blur", "PSNR", "20.00 dB", "40.00 dB"),
        *("4x", "PSNR", "5 × 7 pixels", "40.00 dB"),  # noqa: RUF001
    ]
    assert len(figure.axes) == 6


def test_psnr_follows_the_range_of_values():
    images = {"Truth": grey(500), "A": grey(510)}
    assert texts(compare(images, "Truth", value_range=(0, 1000)))[-1] == "40.00 dB"
    ramp = torch.linspace(-3, 7, 600).reshape(20, 30)
    assert texts(compare({"Truth": ramp, "A": ramp + 1}, "Truth", value_range=None))[-1] == "20.00 dB"


def test_colour_and_complex_images_have_their_psnr():
    colour = {"Truth": grey(0.5, 3, 20, 20), "A": grey(0.6, 1, 3, 20, 20)}
    assert texts(compare(colour, "Truth", ssim=True))[-1].startswith("20.00 dB / 0.9")
    turned = {"Truth": grey(0.5) * 1j, "A": grey(-0.6) + 0j}
    assert texts(compare(turned, "Truth"))[-1] == "20.00 dB"


# -------------------------------------------------------------------- pixels


def test_greys_are_on_the_range_of_values():
    _, colour = drawn(compare({str(v): grey(v) for v in (0.0, 0.2, 1.0, 5.0)}))
    assert [colour(panel, 0.5, 0.5)[0] for panel in range(4)] == [0, 51, 255, 255]
    _, colour = drawn(compare({str(v): grey(v) for v in (10.0, 20.0)}, value_range=(0, 20)))
    assert colour(0, 0.5, 0.5) == pytest.approx((127.5,) * 3, abs=1)
    assert colour(1, 0.5, 0.5) == (255, 255, 255)


def test_colours():
    red = torch.zeros(3, 20, 20)
    red[0] = 2.0
    red[1] = 0.2
    _, colour = drawn(compare({"Red": red}))
    assert colour(0, 0.5, 0.5) == (255, 51, 0)


def test_complex_images_show_their_magnitude():
    _, colour = drawn(compare({"Phase": grey(-1.0) * 1j}))
    assert colour(0, 0.5, 0.5) == (255, 255, 255)


def test_orientation():
    image = torch.zeros(20, 30)
    image[:10, :15] = 1.0
    _, colour = drawn(compare({"Corner": image}))
    assert [colour(0, d, r)[0] for d, r in ((0.25, 0.25), (0.25, 0.75), (0.75, 0.25))] == [255, 0, 0]


def test_a_small_measurement_fills_its_panel():
    _, colour = drawn(compare({"Truth": grey(0.0), "Data": grey(1.0, 5, 7)}, reference="Truth"))
    assert all(colour(1, d, r) == (255, 255, 255) for d in (0.03, 0.97) for r in (0.03, 0.97))


@pytest.mark.parametrize(
    ("top", "left", "down", "right"), [(10, 10, 0.8, 0.8), (70, 10, 0.2, 0.8), (10, 70, 0.8, 0.2), (70, 70, 0.2, 0.2)]
)
def test_the_box_is_enlarged_in_the_opposite_corner(top, left, down, right):
    image = torch.zeros(100, 100)
    image[top : top + 20, left : left + 20] = 1.0
    small = torch.nn.functional.avg_pool2d(image[None], 10)[0]
    _, colour = drawn(compare({"Image": image, "Data": small}, zoom=(top, left, 20, 20)))
    for panel in (0, 1):
        assert colour(panel, down, right) == (255, 255, 255)
        assert colour(panel, down, 1 - right) == (0, 0, 0)


def test_data_of_another_kind_have_their_own_range_and_no_box():
    sinogram = torch.linspace(100, 300, 600).reshape(20, 30)
    images = {"Image": grey(0.5), "Sinogram": sinogram}
    figure = compare(images, reference="Image", data_columns=["Sinogram"], zoom=(2, 2, 5, 5))
    _, colour = drawn(figure)
    assert colour(1, 0.01, 0.01)[0] < 10
    assert colour(1, 0.99, 0.99)[0] > 245
    assert [len(axes.child_axes) for axes in figure.axes[:2]] == [1, 0]
    assert texts(figure)[-1] == "20 × 30 pixels"  # noqa: RUF001


def test_a_box_for_each_row():
    rows = {"First": {"A": grey(0.5)}, "Second": {"A": grey(0.5)}}
    figure = compare(rows, zoom={"Second": (2, 2, 5, 5)})
    assert [len(axes.child_axes) for axes in figure.axes[:2]] == [0, 1]


def test_it_is_saved(tmp_path):
    path = tmp_path / "figure.png"
    figure = compare({"A": grey(0.5), "B": grey(0.6)}, path=path)
    width, height = figure.get_size_inches() * figure.dpi
    assert matplotlib.image.imread(path).shape[:2] == (int(height), int(width))
    compare({"A": grey(0.5)}, path=str(tmp_path / "figure.pdf"))
    assert (tmp_path / "figure.pdf").read_bytes().startswith(b"%PDF")


def test_it_leaves_pyplot_and_the_images_alone():
    image = torch.rand(20, 30, requires_grad=True)
    before = image.detach().clone()
    compare({"A": image})
    assert torch.equal(image.detach(), before)
    pyplot = sys.modules.get("matplotlib.pyplot")
    assert pyplot is None or pyplot.get_fignums() == []


# -------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("arguments", "keywords", "error", "words"),
    [
        (({},), {}, ValueError, "at least one entry"),
        (([grey(0)],), {}, ValueError, "takes a mapping of titles to images"),
        (({"A": np.zeros((4, 4))},), {}, TypeError, "'A' takes a torch.Tensor, got ndarray"),
        (({"A": grey(0).byte()},), {}, TypeError, "'A' takes a floating-point or complex tensor"),
        (({"A": grey(torch.nan)},), {}, ValueError, "'A' must be finite, got 600 NaN"),
        (({"A": grey(0, 2, 5, 5)},), {}, ValueError, r"or \(3, H, W\), got \(2, 5, 5\) for 'A'"),
        (({"A": grey(0, 5)},), {}, ValueError, r"got \(5,\) for 'A'"),
        (({"A": grey(0, 0, 5)},), {}, ValueError, r"got \(0, 5\) for 'A'"),
        (({"A": grey(0)}, "B"), {}, ValueError, "no column 'B'; there are A"),
        (({"A": grey(0)},), {"data_columns": ["C"]}, ValueError, "no column 'C'"),
        (({"A": grey(0)}, grey(0, 2, 4, 4)), {}, ValueError, "for the reference"),
        (({"1": {"A": grey(0)}, "2": {"B": grey(0)}},), {}, ValueError, "rows of the same columns"),
        (({"1": {"A": grey(0)}, "B": grey(0)},), {}, TypeError, "'1' takes a torch.Tensor, got dict"),
        (({"A": grey(0)},), {"zoom": (15, 0, 6, 6)}, ValueError, r"inside of \(20, 30\) pixels, got \(15, 0, 6, 6\)"),
        (({"A": grey(0)},), {"zoom": (0, 0, 0, 6)}, ValueError, "zoom takes"),
        (({"1": {"A": grey(0)}},), {"zoom": {"2": (0, 0, 6, 6)}}, ValueError, "zoom names the rows"),
        (({"A": grey(0)},), {"value_range": (1.0, 1.0)}, ValueError, "low must be below high"),
    ],
)
def test_bad_input(arguments, keywords, error, words):
    with pytest.raises(error, match=f"compare: .*{words}"):
        compare(*arguments, **keywords)
