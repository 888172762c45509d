"""File names inside `bundles/` and inside one bundle. Knows names alone."""

from typing import Final

FORMAT_VERSION: Final = 6
# An ensemble makes the vectors of arrivals; all else is alike.
OF_ENSEMBLES: Final = 7
# In 5 the network of arrivals takes nothing off their contents; all else is alike.
READABLE: Final = (5, FORMAT_VERSION, OF_ENSEMBLES)

CURRENT: Final = "CURRENT"
LOCK: Final = ".lock"
SCRATCH_PREFIX: Final = ".writing-"
REMOVED_PREFIX: Final = ".removing-"

MANIFEST: Final = "manifest.json"
VIDEOS: Final = "videos.safetensors"
USERS: Final = "users.safetensors"
VECTORS: Final = "vectors.safetensors"
FUSION: Final = "fusion.safetensors"
INDEX: Final = "index.faiss"
SEEN: Final = "seen.safetensors"
METADATA: Final = "metadata.jsonl"
FACETS: Final = "facets.safetensors"
ABLATIONS: Final = "ablations.safetensors"

REQUIRED: Final = (VIDEOS, USERS, VECTORS, FUSION, INDEX, SEEN, METADATA, FACETS)
OPTIONAL: Final = (ABLATIONS,)
