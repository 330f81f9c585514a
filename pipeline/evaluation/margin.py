"""How small a loss of accuracy can be ruled out with so many test images. Pure functions of numbers, quick to import.

`discordance`: the share of the images, 0 to 1, that only one of two models gets right. All formulas are for two equally good models, of which the
lower end of a 95 % interval must stay above minus the margin, with a chance of 80 %: n = (1.96 + 0.84)^2 * discordance / margin^2.

Source: Liu et al. (2002), Tests for equivalence or non-inferiority for paired binary data, Statistics in Medicine 21.
"""

import math
from statistics import NormalDist

POWER = 0.8
NORMAL = NormalDist()
Z = NORMAL.inv_cdf(0.975)
FACTOR = (Z + NORMAL.inv_cdf(POWER)) ** 2
"""7.85"""
MOST_AUTO_MARGIN = 0.01
"""`register.margin: auto` is never more than one point: a set of test images that is too small for it cannot tell, which is said."""


def auto_margin(discordance: float, images: float) -> float:
    """The smallest margin for which an equally good model passes with 80 % chance, at most MOST_AUTO_MARGIN."""
    return min(max(math.sqrt(FACTOR * discordance / images), _least(images)), MOST_AUTO_MARGIN)


def images_needed(discordance: float, margin: float) -> int:
    """The number of test images with which an equally good model passes with 80 % chance. margin: above 0."""
    return math.ceil(max(FACTOR * discordance / margin**2, Z**2 * (1 - margin) / margin) - 1e-6)


def power(discordance: float, images: float, margin: float) -> float:
    """The chance, 0 to 1, that an equally good model passes."""
    if discordance == 0 or margin < _least(images) - 1e-12:
        return float(margin >= _least(images) - 1e-12)
    return NORMAL.cdf(margin / math.sqrt(discordance / images) - Z)


def _least(images: float) -> float:
    """Minus the lower end of Tango's interval if no image differs: no smaller margin can be met by equal models."""
    return Z**2 / (images + Z**2)
