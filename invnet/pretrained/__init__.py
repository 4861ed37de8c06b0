"""The trained models that come with the library: weights, each with a card that tells where they come from."""

from invnet.pretrained.load import card, names, pretrained, weights

__all__ = ["card", "names", "pretrained", "weights"]
