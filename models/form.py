"""The forms of a fusion network, by the names that configuration and bundles give them."""

from typing import Literal

# What each computes stands in `models.meta_layer`.
FusionForm = Literal["static", "gate", "cpd", "full"]
