"""What videos that one user met teach content, and what content then says of a user.

Knows a network's content vectors and draws of companions; nothing of optimisers or epochs. See
docs/adr/0023-companions.md.
"""

from typing import Any, Final

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import embedding_bag, normalize

from models.recommender import WithContent
from training.data.companions import Companions
from training.objective import softmax_loss
from training.team import ALONE, Team

# How far a user's vector is moved towards the mean content of what they met, both of unit length.
# Chosen on validation, one for all data sets.
PULL: Final = 0.1
USERS_AT_ONCE: Final = 1 << 14


def companion_loss(
    network: WithContent,
    companions: Companions,
    rng: np.random.Generator,
    *,
    temperature: float,
    device: torch.device,
    team: Team = ALONE,
) -> Tensor:
    """Return the mean of -log p(i) over drawn users, i a video of theirs: a scalar.

    p is the softmax, over the videos drawn for all of them, of the cosine of a video's
    content and the sum of the contents of other videos of the user, divided by the `temperature`.
    No id takes part: content learns which videos go together. The network is on `device`. Of a
    `team`, all of whom draw alike, each does its share of the users: the loss is weighted so that
    its mean over processes is that of all.
    """
    drawn = companions.draw(rng)
    share = team.share(len(drawn.wanted))
    own, owners = share.among(drawn.owners)
    rows, places = np.unique(np.concatenate([drawn.wanted, drawn.others[own]]), return_inverse=True)
    contents = network.contents(torch.from_numpy(rows).to(device))
    wanted, others = torch.split(
        torch.from_numpy(places).to(device), [len(drawn.wanted), int(own.sum())]
    )
    found = contents.index_select(0, wanted)
    users = torch.from_numpy(share.places).to(device)
    sought = found.index_select(0, users)
    told = torch.zeros_like(sought).index_add(
        0, torch.from_numpy(owners).to(device), contents.index_select(0, others)
    )
    # What was drawn for somebody else is no other video if it is the same one.
    same = (wanted.index_select(0, users)[:, None] == wanted).nonzero(as_tuple=True)
    sides = normalize(told, dim=1) / temperature, sought, found
    return share.weight * softmax_loss(*sides, (same[0], same[1]))


def pulled(users: Tensor, contents: Tensor, companions: Companions) -> Tensor:
    """Return unit `users: (U, D)` moved towards the mean of `contents: (V, D)` of what they met.

    Who met nothing stays. So whose taste ids have told also finds what has just arrived.
    """
    starts, videos = companions.grouped()
    moved = []
    for first in range(0, len(users), USERS_AT_ONCE):
        block = users[first : first + USERS_AT_ONCE]
        ends = starts[first : first + len(block) + 1]
        met = torch.from_numpy(videos[ends[0] : ends[-1]]).to(users.device)
        begins = torch.from_numpy((ends[:-1] - ends[0]).astype(np.int32)).to(users.device)
        sums: Any = embedding_bag(met, contents, begins, mode="sum")
        moved.append(normalize(block + PULL * normalize(sums, dim=1), dim=1))
    return torch.cat(moved)
