"""What the tests of tomography share: drawn geometries, rays as documented, and known integrals."""

import math
import warnings

import torch
from hypothesis import strategies as st

from operators import FanBeam, ParallelBeam

MULTIPLES = st.integers(-8, 8).map(lambda k: k * math.pi / 4)  # rays along rows, columns and diagonals
ANGLES = st.lists(MULTIPLES | st.floats(-7, 7), min_size=1, max_size=6)
LENGTHS = st.floats(0.3, 3)


def quietly(make, *args, **kwargs):
    """An operator without the warning of a narrow detector."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return make(*args, **kwargs)


@st.composite
def common(draw):
    """What both geometries take: images of any shape, pixels of any, axis and detector anywhere."""
    return {
        "in_shape": (draw(st.integers(1, 40)), draw(st.integers(1, 40))),
        "angles": draw(ANGLES),
        "detectors": draw(st.integers(1, 40)),
        "pixel_size": draw(LENGTHS | st.tuples(LENGTHS, LENGTHS)),
        "center": (draw(st.floats(-4, 4)), draw(st.floats(-4, 4))),
    }


@st.composite
def parallel_beams(draw):
    return quietly(
        ParallelBeam, **draw(common()), detector_spacing=draw(LENGTHS), detector_offset=draw(st.floats(-5, 5))
    )


@st.composite
def fan_beams(draw, kinds=("flat", "curved")):
    """Fans of up to 170 degrees, around an image that the source does not enter."""
    parts, kind = draw(common()), draw(st.sampled_from(kinds))
    height, width = (n * max(torch.tensor(parts["pixel_size"]).reshape(-1).tolist()) for n in parts["in_shape"])
    reach = math.hypot(height, width) / 2 + math.hypot(*parts["center"])
    source = reach * draw(st.floats(1.01, 4))
    focal = source + draw(st.just(0.0) | st.floats(0, 2 * reach))  # zero: a virtual detector on the axis
    half_fan = math.radians(draw(st.floats(2, 85)))
    half_length = focal * (math.tan(half_fan) if kind == "flat" else half_fan)
    spacing = 2 * half_length / parts["detectors"]
    offset = half_length * draw(st.floats(-0.5, 0.5)) if half_fan < 0.7 else 0.0
    return quietly(
        FanBeam, **parts, source_distance=source, detector_distance=focal - source, detector=kind,
        detector_spacing=spacing, detector_offset=offset,
    )  # fmt: skip


BEAMS = parallel_beams() | fan_beams()


def full_turn(count, turn=2 * math.pi):
    return torch.arange(count, dtype=torch.float64) * turn / count


def pixel_centres(shape, pixel_size=(1.0, 1.0)):
    """The coordinates (x, y) of every pixel: x to the right, y up, from the image's centre."""
    (height, width), (row_size, column_size) = shape, pixel_size
    y = ((height - 1) / 2 - torch.arange(height, dtype=torch.float64)) * row_size
    x = (torch.arange(width, dtype=torch.float64) - (width - 1) / 2) * column_size
    return x.expand(height, width), y[:, None].expand(height, width)


def parallel_rays(angles, detectors, spacing=1.0, offset=0.0, center=(0.0, 0.0)):
    """A point and a unit direction (views, detectors, 2) of each ray, from the image's centre, as documented."""
    t = torch.as_tensor(angles, dtype=torch.float64)[:, None]
    s = (torch.arange(detectors, dtype=torch.float64) - (detectors - 1) / 2) * spacing + offset
    point = torch.stack([s * torch.cos(t) + center[0], s * torch.sin(t) + center[1]], -1)
    return point, torch.stack([-torch.sin(t), torch.cos(t)], -1).expand_as(point)


def fan_rays(angles, detectors, source, distance, kind, spacing=1.0, offset=0.0, center=(0.0, 0.0)):
    """As `parallel_rays`, of a fan."""
    t = torch.as_tensor(angles, dtype=torch.float64)[:, None]
    s = (torch.arange(detectors, dtype=torch.float64) - (detectors - 1) / 2) * spacing + offset
    away, along = torch.stack([-torch.sin(t), torch.cos(t)], -1), torch.stack([torch.cos(t), torch.sin(t)], -1)
    fan = torch.atan(s / (source + distance)) if kind == "flat" else s / (source + distance)
    direction = torch.cos(fan)[:, None] * away + torch.sin(fan)[:, None] * along
    return (torch.tensor(center) - source * away).expand_as(direction), direction


def gaussian(shape, x0, y0, sigma, pixel_size=(1.0, 1.0)):
    """A Gaussian sampled at the pixels' centres."""
    x, y = pixel_centres(shape, pixel_size)
    return torch.exp(-((x - x0) ** 2 + (y - y0) ** 2) / (2 * sigma**2))


def gaussian_integrals(rays, x0, y0, sigma):
    """The integrals of that Gaussian along the whole of each line."""
    point, direction = rays
    to_centre = torch.tensor([x0, y0]) - point
    distance = to_centre[..., 0] * direction[..., 1] - to_centre[..., 1] * direction[..., 0]
    return math.sqrt(2 * math.pi) * sigma * torch.exp(-(distance**2) / (2 * sigma**2))


def ellipse(shape, x0, y0, a, b, turn, pixel_size=(1.0, 1.0), parts=8):
    """An ellipse of value one with half axes a and b, each pixel by how much of it lies inside."""
    (height, width), (row_size, column_size) = shape, pixel_size
    fine = (row_size / parts, column_size / parts)
    x, y = pixel_centres((height * parts, width * parts), fine)
    u = (x - x0) * math.cos(turn) + (y - y0) * math.sin(turn)
    v = (y - y0) * math.cos(turn) - (x - x0) * math.sin(turn)
    inside = ((u / a) ** 2 + (v / b) ** 2 <= 1).double()
    return inside.reshape(height, parts, width, parts).mean((1, 3))


def ellipse_integrals(rays, x0, y0, a, b, turn):
    """The lengths of the chords of that ellipse."""
    point, direction = rays
    cos, sin = math.cos(turn), math.sin(turn)
    to_axes = torch.tensor([[cos / a, sin / a], [-sin / b, cos / b]], dtype=torch.float64)
    p, d = (point - torch.tensor([x0, y0])) @ to_axes.T, direction @ to_axes.T
    # |p + t d| = 1 in coordinates in which the ellipse is the unit circle.
    square, mixed = d.square().sum(-1), (p * d).sum(-1)
    inside = mixed.square() - square * (p.square().sum(-1) - 1)
    return 2 * inside.clamp_min(0).sqrt() / square
