"""The trained models that come with the library: weights, each with a card that tells where they come from."""

from invnet.cards import card, names, weights
from invnet.pretrained.load import pretrained

__all__ = ["card", "names", "pretrained", "weights"]
