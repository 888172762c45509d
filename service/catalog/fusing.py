"""Fuses features of arriving videos with the bundle's network. The one file that touches torch."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file

from models.ablation import combinations_of
from models.arrival import arrival_vectors, drawn_fusion
from models.bundle.errors import CorruptBundle
from models.bundle.reader import Bundle
from models.modality import in_order
from service.errors import Fault

Floats = NDArray[np.float32]
Features = Mapping[str, Floats]
# Little-endian float32, as the event log keeps them.
RawFeatures = Mapping[str, bytes]
Mask = NDArray[np.bool_]

# One small network beside the event loop: a second thread costs more than it gives.
torch.set_num_threads(1)

FLOAT32_BYTES: Final = 4
# Before this format version nothing was taken off the contents of arrivals.
COMMON_SINCE: Final = 6
# Videos in one forward pass, fewer padded with zeros: 2 ms for 3000 features, few or many.
BLOCK: Final = 32


def cuda_fuses() -> bool:
    """Tell whether this torch sees a CUDA device."""
    return torch.cuda.is_available()


class Fuser:
    """The trained fusion network of one bundle, ready for arrivals."""

    def __init__(self, bundle: Bundle, device: str = "cpu") -> None:
        """Build the network on a torch `device` and read its weights.

        Raises:
            CorruptBundle: the weights are not finite or do not fit the sizes in the manifest.
        """
        manifest = bundle.manifest
        self.widths: Mapping[str, int] = manifest.modalities
        self._vector_dim = manifest.vector_dim
        try:
            self.modalities = in_order(self.widths)
            widths = {name: self.widths[name] for name in self.modalities}
            self._fusion = drawn_fusion(widths, manifest.fusion, output_dim=manifest.vector_dim)
            weights = load_file(bundle.fusion_file)
            if manifest.format_version < COMMON_SINCE:
                weights["common"] = torch.zeros(manifest.vector_dim)
            self._fusion.load_state_dict(weights)
        except (RuntimeError, ValueError, SafetensorError) as error:
            raise CorruptBundle(bundle.fusion_file, str(error)) from error
        for name, tensor in weights.items():
            if not tensor.isfinite().all():
                raise CorruptBundle(bundle.fusion_file, f"{name} holds values that are not finite")
        self._device = torch.device(device)
        self._fusion.to(self._device).eval()
        # Where each modality begins in a joined row, and the next one; the last ends at F.
        self._ends = np.cumsum([0, *(self.widths[name] for name in self.modalities)])

    def faults(self, videos: Sequence[RawFeatures]) -> list[list[Fault]]:
        """Return what is wrong with each of `videos`, as `faults_in` tells it."""
        readable = self.join(videos)[1].tolist()
        return [
            [] if fine else self.faults_in({m: np.frombuffer(raw, "<f4") for m, raw in one.items()})
            for one, fine in zip(videos, readable, strict=True)
        ]

    def join(self, videos: Sequence[RawFeatures]) -> tuple[Floats, Mask]:
        """Return `videos` as rows, (B, F), and which of them the network can take, (B,).

        An absent modality is zeros. Of a video that cannot be taken the row means nothing.
        """
        absent = {str(m): bytes(FLOAT32_BYTES * self.widths[m]) for m in self.modalities}
        parts: list[bytes] = []
        for video in videos:
            blocks = {**absent, **video}
            fits = len(blocks) == len(absent) and all(
                len(blocks[name]) == len(block) for name, block in absent.items()
            )
            parts += [(blocks if fits else absent)[name] for name in self.modalities]
        rows = np.frombuffer(b"".join(parts), "<f4").reshape(len(videos), self._ends[-1])
        return rows, np.isfinite(rows).all(axis=1) & rows.any(axis=1)

    def faults_in(self, features: Features) -> list[Fault]:
        """Return a fault, its field the modality, for all that the network cannot take."""
        faults = [
            self._misfit(name, len(values))
            for name, values in features.items()
            if len(values) != self.widths.get(name)
        ]
        faults += [
            Fault(name, "finite numbers", "one that is not")
            for name, values in features.items()
            if not np.isfinite(values).all()
        ]
        if not faults and not any(values.any() for values in features.values()):
            known = ", ".join(self.modalities)
            faults.append(Fault("", f"at least one of {known} that is not all zero", "none"))
        return faults

    def _misfit(self, name: str, found: int) -> Fault:
        if name not in self.widths:
            known = ", ".join(self.widths)
            return Fault(name, f"one of {known}, the modalities of this bundle", repr(name[:40]))
        return Fault(name, f"{self.widths[name]} numbers", str(found))

    def example(self, rng: np.random.Generator) -> dict[str, list[float]]:
        """Return made-up raw features of one video, distributed as those of training are."""
        mean, scale = self._fusion.mean.cpu().numpy(), self._fusion.scale.cpu().numpy()
        drawn = np.round(rng.normal(mean, scale), 3)
        blocks = np.split(drawn, self._ends[1:-1])
        return {name: block.tolist() for name, block in zip(self.modalities, blocks, strict=True)}

    def fuse(self, videos: Sequence[Features]) -> Floats:
        """Return the vectors of `videos`: (B, D). An all-zero modality is absent."""
        rows = np.zeros((len(videos), self._ends[-1]), dtype=np.float32)
        for row, features in zip(rows, videos, strict=True):
            for name, start, end in zip(self.modalities, self._ends, self._ends[1:], strict=False):
                row[start:end] = features.get(name, 0)
        return self.fuse_rows(rows)

    def fuse_rows(self, rows: Floats) -> Floats:
        """Return the vectors of videos whose features are joined in `rows: (B, F)`: (B, D).

        The last bits of a matrix product depend on how many rows it has. Every pass has BLOCK rows,
        so that a video's vector is the same fused alone, when it came, and in a replay of many.
        """
        vectors = np.empty((len(rows), self._vector_dim), dtype=np.float32)
        for start in range(0, len(rows), BLOCK):
            block = rows[start : start + BLOCK]
            vectors[start : start + BLOCK] = self._fuse_block(block)[: len(block)]
        return vectors

    def ablated(self, rows: Floats) -> Floats:
        """Return the vectors of `rows: (B, F)` with each set of their modalities: (B, 2^M, D)."""
        owners = np.repeat(np.arange(len(self.modalities)), np.diff(self._ends))
        kept = combinations_of(len(self.modalities))[:, owners]
        return np.stack([self.fuse_rows(np.where(mask, rows, 0)) for mask in kept], axis=1)

    @cached_property
    def nothing(self) -> Floats:
        """The vector of a video without any modality: (D,)."""
        vector: Floats = self.fuse_rows(np.zeros((1, self._ends[-1]), dtype=np.float32))[0]
        return vector

    def _fuse_block(self, rows: Floats) -> Floats:
        block = np.zeros((BLOCK, self._ends[-1]), dtype=np.float32)
        block[: len(rows)] = rows
        present = np.logical_or.reduceat(block != 0, self._ends[:-1], axis=1)
        known = torch.from_numpy(present).to(self._device)
        standardised = self._fusion.standardise(torch.from_numpy(block).to(self._device), known)
        vectors: Floats = arrival_vectors(self._fusion, standardised, known).cpu().numpy()
        return vectors
