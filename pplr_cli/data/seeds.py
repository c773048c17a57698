"""Random numbers keyed by what they are for, instead of drawn from one stream.

A run that is resumed, or shared among devices, then draws the same numbers at the same place.
"""

import numpy as np

BATCHES = 1
AUGMENTATION = 2


def generator(purpose: int, *key: int) -> np.random.Generator:
    """Return the generator for a purpose and key, such as (seed, epoch, step)."""
    return np.random.default_rng([purpose, *key])
