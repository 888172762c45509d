"""Fuses features of arriving videos with the bundle's network. The one file that touches torch."""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file

from models.arrival import arrival_vectors
from models.bundle.errors import CorruptBundle
from models.bundle.reader import Bundle
from models.fusion import MetaFusion
from models.modality import in_order

Floats = NDArray[np.float32]
Features = Mapping[str, Floats]

# One small network beside the event loop: a second thread costs more than it gives.
torch.set_num_threads(1)

# Videos in one forward pass, fewer padded with zeros: 2 ms for 3000 features, few or many.
BLOCK: Final = 32


class Fuser:
    """The trained fusion network of one bundle, ready for arrivals."""

    def __init__(self, bundle: Bundle) -> None:
        """Build the network and read its weights.

        Raises:
            CorruptBundle: the weights are not finite or do not fit the sizes in the manifest.
        """
        manifest = bundle.manifest
        sizes = manifest.fusion
        self.widths: Mapping[str, int] = manifest.modalities
        self._vector_dim = manifest.vector_dim
        try:
            self.modalities = in_order(self.widths)
            self._fusion = MetaFusion(
                {name: self.widths[name] for name in self.modalities},
                hidden_dims=sizes.hidden_dims,
                output_dim=manifest.vector_dim,
                signal_hidden_dim=sizes.signal_hidden_dim,
                signal_dim=sizes.signal_dim,
                rank=sizes.rank,
                form=sizes.form,
            )
            weights = load_file(bundle.fusion_file)
            self._fusion.load_state_dict(weights)
        except (RuntimeError, ValueError, SafetensorError) as error:
            raise CorruptBundle(bundle.fusion_file, str(error)) from error
        for name, tensor in weights.items():
            if not tensor.isfinite().all():
                raise CorruptBundle(bundle.fusion_file, f"{name} holds values that are not finite")
        self._fusion.eval()

    def faults_in(self, features: Features) -> list[tuple[str, str]]:
        """Return (modality, what was expected and what came) for all the network cannot take."""
        faults = [
            (name, self._expected(name, len(values)))
            for name, values in features.items()
            if len(values) != self.widths.get(name)
        ]
        faults += [
            (name, "expected finite numbers, got one that is not")
            for name, values in features.items()
            if not np.isfinite(values).all()
        ]
        if not faults and not any(values.any() for values in features.values()):
            known = ", ".join(self.modalities)
            faults.append(("", f"expected at least one of {known} that is not all zero, got none"))
        return faults

    def _expected(self, name: str, found: int) -> str:
        if name not in self.widths:
            return f"expected one of {', '.join(self.widths)}, the modalities of this bundle"
        return f"expected {self.widths[name]} numbers, got {found}"

    def example(self, rng: np.random.Generator) -> dict[str, list[float]]:
        """Return made-up raw features of one video, distributed as those of training are."""
        mean, scale = self._fusion.mean.numpy(), self._fusion.scale.numpy()
        drawn = np.round(rng.normal(mean, scale), 3)
        ends = np.cumsum([self.widths[name] for name in self.modalities])
        blocks = np.split(drawn, ends[:-1])
        return {name: block.tolist() for name, block in zip(self.modalities, blocks, strict=True)}

    def fuse(self, videos: Sequence[Features]) -> Floats:
        """Return the vectors of `videos`: (B, D). An all-zero modality is absent.

        The last bits of a matrix product depend on how many rows it has. Every pass has BLOCK rows,
        so that a video's vector is the same fused alone, when it came, and in a replay of many.
        """
        vectors = np.empty((len(videos), self._vector_dim), dtype=np.float32)
        for start in range(0, len(videos), BLOCK):
            vectors[start : start + BLOCK] = self._fuse_block(videos[start : start + BLOCK])
        return vectors

    def _fuse_block(self, videos: Sequence[Features]) -> Floats:
        blocks, present = [], np.zeros((BLOCK, len(self.modalities)), dtype=bool)
        for column, name in enumerate(self.modalities):
            block = np.zeros((BLOCK, self.widths[name]), dtype=np.float32)
            for row, features in enumerate(videos):
                if name in features:
                    block[row] = features[name]
            blocks.append(block)
            present[:, column] = block.any(axis=1)
        known = torch.from_numpy(present)
        standardised = self._fusion.standardise(
            torch.from_numpy(np.concatenate(blocks, axis=1)), known
        )
        vectors = arrival_vectors(self._fusion, standardised, known)
        return vectors[: len(videos)].numpy()
