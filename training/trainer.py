"""One network in training: steps, and the running average of its parameters.

Knows the objective and the sampler; nothing of when to stop.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor
from torch.nn import Parameter
from torch.nn.functional import embedding

from models.recommender import (
    Recommender,
    Rehearsal,
    Rehearsing,
    Step,
    WithContent,
    WithExtraLoss,
)
from training.company import companion_loss
from training.config import FitConfig
from training.data.companions import Companions
from training.data.dataset import Dataset, Rows
from training.data.sampling import Batch, Sampler
from training.objective import bpr_loss, softmax_loss, squared_lengths
from training.representation import Representation
from training.rows import RowTable
from training.team import ALONE, Team

# The running average starts fast, after this many steps in full: the beginning is forgotten.
WARM_UP: Final = 10


class Trainer:
    """One network in training."""

    def __init__(
        self,
        network: Any,
        dataset: Dataset,
        config: FitConfig,
        rng: np.random.Generator,
        team: Team = ALONE,
    ) -> None:
        """Take `network` where it is; `rng` must be alike in all processes of the `team`."""
        self._network: Recommender = network
        self._team = team
        self._parameters = list(network.parameters())
        tables = {id(table) for table in network.tables()}
        self._tables = {
            place: RowTable(parameter, config.learning_rate)
            for place, parameter in enumerate(self._parameters)
            if id(parameter) in tables
        }
        # The others are moved and averaged as wholes in every step.
        self._wholes = {
            place: parameter
            for place, parameter in enumerate(self._parameters)
            if place not in self._tables
        }
        self._averages = {p: whole.detach().clone() for p, whole in self._wholes.items()}
        self._steps = 0
        # Neighbours are drawn by the number of a step, counted from here. Nothing of `rng` is used
        # up, so that whether neighbours are drawn changes nothing of what else is.
        seeds: Any = rng.bit_generator.seed_seq
        self._first_draw = int(seeds.generate_state(1, np.uint64)[0] >> np.uint64(2))
        self._device = self._parameters[0].device
        self._dataset, self._config, self._rng = dataset, config, rng
        self._sampler = Sampler(dataset.train, users=dataset.users, videos=dataset.videos)
        self._companions = None
        if config.extra_weight and isinstance(network, WithContent):
            self._companions = Companions(dataset.train, users=dataset.users)
        self._representation = Representation(network, dataset, self._companions, self._device)
        self._optimiser = torch.optim.AdamW(
            _groups(self._wholes.values(), network.feature_parameters(), config.fusion_decay),
            lr=config.learning_rate,
            weight_decay=0.0,
            fused=True,
        )

    def averages(self) -> list[Tensor]:
        """Return a copy of the averaged parameters."""
        return [
            self._tables[place].averaged()
            if place in self._tables
            else self._averages[place].clone()
            for place in range(len(self._parameters))
        ]

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Return all that the next step depends on: tensors, and what JSON can hold."""
        tensors = {"torch_rng": torch.get_rng_state()}
        if self._device.type == "cuda":
            tensors["cuda_rng"] = torch.cuda.get_rng_state(self._device)
        for place, parameter in enumerate(self._parameters):
            tensors[f"parameter.{place}"] = parameter.detach()
        for place, table in self._tables.items():
            tensors |= {f"{name}.{place}": tensor for name, tensor in table.state().items()}
        for place, whole in self._wholes.items():
            tensors[f"average.{place}"] = self._averages[place]
            for name, moment in self._optimiser.state[whole].items():
                tensors[f"{name}.{place}"] = moment
        return tensors, {"steps": self._steps, "numpy_rng": self._rng.bit_generator.state}

    def restore(self, tensors: dict[str, Tensor], rest: dict[str, Any]) -> None:
        """Put a `state` in place: what follows is what would have followed then."""
        torch.set_rng_state(tensors["torch_rng"])
        if self._device.type == "cuda" and "cuda_rng" in tensors:
            torch.cuda.set_rng_state(tensors["cuda_rng"], self._device)
        self._rng.bit_generator.state = rest["numpy_rng"]
        self._steps = rest["steps"]
        for place, parameter in enumerate(self._parameters):
            parameter.data.copy_(tensors[f"parameter.{place}"])
        for place, table in self._tables.items():
            table.restore({name: tensors[f"{name}.{place}"] for name in table.state()})
        for place, whole in self._wholes.items():
            self._averages[place].copy_(tensors[f"average.{place}"])
            moments = ("step", "exp_avg", "exp_avg_sq")
            if f"step.{place}" in tensors:
                self._optimiser.state[whole] = {
                    name: tensors[f"{name}.{place}"].to(whole.device) for name in moments
                }

    def run_epoch(self) -> float:
        """Go once over the training interactions and return the mean loss of one."""
        self._network.train()
        if self._team.size > 1:
            # Each process drops otherwise than the others, and after a cut as it would have.
            torch.manual_seed(self._first_draw + self._steps * self._team.size + self._team.rank)
        total = 0.0
        for batch in self.batches():
            total += self.step(batch) * len(batch.users)
        return self._team.mean(total) / max(1, len(self._sampler))

    def batches(self) -> Iterator[Batch]:
        """Draw an epoch of batches."""
        size = self._config.batch_size
        if self._config.objective == "bpr":
            return self._sampler.pairwise(size, self._rng)
        return self._sampler.shared(size, self._config.negatives, self._rng)

    def step(self, whole: Batch) -> float:
        """Take one step for the batch `whole` and return its mean loss, this process's share."""
        batch, weight = self._team.part(whole)
        # However often a video occurs in the step, it is fused once.
        rows, places = np.unique(
            np.concatenate([batch.positives, batch.negatives]), return_inverse=True
        )
        rehearsal = self._rehearsal(rows)
        users, videos = self._tensor(batch.users), self._tensor(rows)
        positives, negatives = torch.split(
            self._tensor(places), [len(batch.positives), len(batch.negatives)]
        )
        draw = self._first_draw + self._steps
        user_vectors, video_vectors = self._network(users, videos, rehearsal, draw)
        sides = (
            user_vectors / self._config.temperature,
            embedding(positives, video_vectors),
            embedding(negatives, video_vectors),
        )
        if batch.met is None:
            loss = bpr_loss(*sides)
        else:
            met_users, met_videos = (self._tensor(places) for places in batch.met)
            loss = softmax_loss(*sides, (met_users, met_videos))
        self._forget_gradients()
        minimised = loss + self._penalty(users, videos, positives, negatives, batch)
        if self._config.extra_weight and isinstance(self._network, WithExtraLoss):
            step = Step(users, videos, positives, negatives, rehearsal, user_vectors, video_vectors)
            minimised += self._config.extra_weight * self._network.extra_loss(step)
        minimised = weight * minimised + self._of_companions()
        torch.autograd.backward(minimised)
        self._move()
        return weight * loss.item()

    def _rehearsal(self, videos: Rows) -> Rehearsal | None:
        """Draw which of the step's `videos` stand there as arrivals, and with which modalities.

        Drawn over the catalog, so that all processes of a team draw alike.
        """
        if not self._config.arrival_share or not isinstance(self._network, Rehearsing):
            return None
        catalog, modalities = self._dataset.videos, len(self._dataset.feature_dims)
        arriving = self._rng.random(catalog)[videos] < self._config.arrival_share
        kept = self._rng.random((catalog, modalities))[videos] >= self._config.modality_dropout
        # Nobody arrives without any feature.
        present = self._dataset.present[videos]
        kept = np.where((kept & present).any(axis=1, keepdims=True), kept, present)
        return Rehearsal(self._tensor(arriving), self._tensor(kept))

    def _of_companions(self) -> Tensor | float:
        """Return the weighted loss of what users met together, this process's share."""
        if not self._companions or not isinstance(self._network, WithContent):
            return 0.0
        found = companion_loss(
            self._network,
            self._companions,
            self._rng,
            temperature=self._config.temperature,
            device=self._device,
            team=self._team,
        )
        return self._config.extra_weight * found

    def _penalty(
        self, users: Tensor, videos: Tensor, positives: Tensor, negatives: Tensor, batch: Batch
    ) -> Tensor | float:
        """Return the weighted squared lengths of what is free in a batch, per interaction."""
        if not self._config.regularisation:
            return 0.0
        user_side, video_side = self._network.embeddings(users, videos)
        lengths = squared_lengths(video_side)
        total = squared_lengths(user_side).sum() + lengths[positives].sum()
        if batch.met is None:  # drawn for the user, as the positive is
            total = total + lengths[negatives].sum()
        return self._config.regularisation * total / len(users)

    @torch.no_grad()
    def _move(self) -> None:
        """Move the parameters against their gradients, and the averages towards the parameters."""
        self._steps += 1
        decay = min(self._config.averaging, self._steps / (self._steps + WARM_UP))
        self._team.share_gradients(self._wholes.values())
        self._optimiser.step()
        if self._wholes:
            wholes, averages = list(self._wholes.values()), list(self._averages.values())
            torch._foreach_lerp_(averages, wholes, 1 - decay)
        for table in self._tables.values():
            table.step(*self._team.row_gradients(table.parameter), decay)

    def _forget_gradients(self) -> None:
        for parameter in self._parameters:
            parameter.grad = None

    @contextmanager
    def _averaged(self) -> Iterator[None]:
        """Put the averages in the place of the parameters for a while."""
        held = [parameter.data for parameter in self._parameters]
        for place, parameter in enumerate(self._parameters):
            table = self._tables.get(place)
            parameter.data = self._averages[place] if table is None else table.averaged()
        try:
            yield
        finally:
            for parameter, data in zip(self._parameters, held, strict=True):
                parameter.data = data

    def validate(self) -> dict[str, Any] | None:
        """Judge the averaged parameters by a ranking on validation; None without any.

        Raises:
            Diverged: they make no vectors.
        """
        if not len(self._dataset.val):
            return None
        # Gradients are as large as all parameters, and of no use until the next step.
        self._forget_gradients()
        with self._averaged():
            return self._representation.judged()

    def finish(self, averages: list[Tensor]) -> Representation:
        """Put `averages` in the place of the parameters, for good, and return what they say."""
        self._forget_gradients()
        for parameter, average in zip(self._parameters, averages, strict=True):
            parameter.data.copy_(average)
        return self._representation

    def _tensor(self, array: Any) -> Tensor:
        return torch.from_numpy(array).to(self._device)


def _groups(
    parameters: Iterable[Parameter], decaying: Iterable[Parameter], decay: float
) -> list[dict[str, Any]]:
    """Divide `parameters` into two groups: those `decaying`, and the others."""
    chosen = list(decaying)
    known = {id(parameter) for parameter in chosen}
    others = [parameter for parameter in parameters if id(parameter) not in known]
    groups: list[dict[str, Any]] = [{"params": others}]
    if chosen:
        groups.append({"params": chosen, "weight_decay": decay})
    return groups
