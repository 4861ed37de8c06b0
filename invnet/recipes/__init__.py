"""How the pretrained models are trained: one command each."""

from invnet.recipes.denoisers import DENOISERS
from invnet.recipes.mri import MRI
from invnet.recipes.priors import PRIORS
from invnet.recipes.recipe import Recipe, follow
from invnet.recipes.super_resolution import SUPER_RESOLUTION
from invnet.recipes.tomography import TOMOGRAPHY

__all__ = ["RECIPES", "Recipe", "follow"]

RECIPES = {**DENOISERS, **TOMOGRAPHY, **MRI, **PRIORS, **SUPER_RESOLUTION}
