"""What a reconstruction tells of itself, and the picture of it."""

import math

import pytest
import torch

import invnet
from invnet import MAP, DeepImagePrior, DirectInverse, Info, Physics, PlugAndPlay, Unrolled
from invnet.nets import DnCNN, Hourglass
from invnet.noise import Gaussian
from invnet.priors import TotalVariation
from operators import AveragePool

PHYSICS = Physics(AveragePool((16, 16), 2), Gaussian(0.02))
Y = PHYSICS(invnet.data.sample_image("camera", size=16), generator=torch.Generator().manual_seed(0))


def curves(figure):
    return {axes.get_title(): axes.lines[0].get_xydata() for axes in figure.axes}


def test_map_draws_what_it_recorded():
    _, info = MAP(TotalVariation(), 10.0, max_iter=25, tol=0)(Y, PHYSICS, return_info=True)
    assert info.recorded == [10, 20, 25]
    drawn = curves(info.plot())
    assert drawn.keys() == {"objective", "residual"}
    assert drawn["objective"].tolist() == [list(pair) for pair in zip([10, 20, 25], info.objective, strict=True)]


def test_plug_and_play_has_a_residual_alone(tmp_path):
    _, info = PlugAndPlay(lambda x, sigma: 0.5 * x, max_iter=3)(Y, PHYSICS, return_info=True)
    drawn = curves(info.plot(tmp_path / "curves.png"))
    assert drawn["residual"][:, 0].tolist() == [1, 2, 3]
    assert drawn["residual"][:, 1].tolist() == info.residual
    assert (tmp_path / "curves.png").stat().st_size > 1000


def test_deep_image_prior_leaves_out_what_is_not_known_yet():
    fit = DeepImagePrior(lambda c: Hourglass(4, c, width=4, depth=1), max_iter=6, window=4)
    _, info = fit(Y, PHYSICS, return_info=True)
    assert info.residual[:3] == [math.inf] * 3
    drawn = curves(info.plot())
    assert [math.isnan(value) for value in drawn["residual"][:, 1]] == [True] * 3 + [False] * 3
    assert not any(math.isnan(value) for value in drawn["objective"].flatten())


@pytest.mark.parametrize("method", [DirectInverse(), Unrolled(DnCNN(depth=2, width=4), 2)], ids=lambda m: m.name)
def test_without_a_history_there_is_nothing_to_draw(method):
    _, info = method(Y, PHYSICS, return_info=True)
    with pytest.raises(ValueError, match="has no history of an objective or a residual to plot"):
        info.plot()


def test_scales_follow_the_values():
    scales = [axes.get_yscale() for axes in Info(2, True, [-1.0, -2.0], [1.0, 1e-3]).plot().axes]
    assert scales == ["linear", "log"]
    assert Info(2, True, [], [math.inf, math.inf]).plot().axes[0].get_yscale() == "linear"
