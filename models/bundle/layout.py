"""File names inside `bundles/` and inside one bundle. Knows names alone."""

from typing import Final

FORMAT_VERSION: Final = 7
# In 6 one network makes the vectors of arrivals; in 5 it takes nothing off their contents. All else
# is alike.
READABLE: Final = (5, 6, FORMAT_VERSION)

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
