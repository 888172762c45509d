"""The interactions as lists of neighbours, and the small graph around what a step asks for.

Knows edges, rows and chance; nothing of what vectors mean. What is drawn is as large as what was
asked for and the limits make it, however many edges there are.
"""

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import embedding

from models.graph import Hop, Scaling
from models.links import Links, starts_of

# Edges that vectors are carried along at once where all of them are asked for.
EDGES_AT_ONCE: Final = 1 << 17
USERS, VIDEOS = 0, 1
# Stafford's mix 13, which ends SplitMix64: (shift, multiplier as a signed number).
MIXING: Final = ((30, -4658895280553007687), (27, -7723592293110705685), (31, 1))
POSITIVE: Final = (1 << 62) - 1


class Neighbourhood(NamedTuple):
    """What a step needs of the graph.

    Vectors of the rows `users` and `videos` (None: of all) go through the `hops`, first to last;
    what was asked for is then found in the places `asked` = (users, videos).
    """

    users: Tensor | None
    videos: Tensor | None
    hops: Sequence[Hop]
    asked: tuple[Tensor, Tensor]


class DrawnHop(NamedTuple):
    """One layer of a drawn graph: edges into the targets, and their places among the sources."""

    into_users: Links
    into_videos: Links
    users: Tensor
    videos: Tensor

    def __call__(self, users: Tensor, videos: Tensor) -> tuple[Tensor, Tensor]:
        """Send vectors of the sources to the targets (see `Hop`)."""
        return self.into_users.carry(videos), self.into_videos.carry(users)

    def own(self, users: Tensor, videos: Tensor) -> tuple[Tensor, Tensor]:
        """Return the targets' own vectors (see `Hop`)."""
        return embedding(self.users, users), embedding(self.videos, videos)


class NeighbourGraph(nn.Module):
    """The edges of `InteractionGraph`, held once from each side, to draw neighbours from.

    Of a node of degree d a layer draws n = min(d, limit) neighbours, each with probability n / d
    and none twice, and weighs them by d / n: what arrives has the expectation of what would arrive
    along all edges. The neighbours lie in a circle and stand evenly spread on it, from a start that
    is a hash of the draw's number, the layer and the node: who draws for a node elsewhere with the
    same number draws the same ones.
    """

    user_starts: Tensor
    user_videos: Tensor
    video_starts: Tensor
    video_users: Tensor

    def __init__(
        self,
        users: Tensor,
        videos: Tensor,
        *,
        sizes: tuple[int, int],
        scaling: Scaling,
        limits: Sequence[int],
    ) -> None:
        """Connect as `InteractionGraph` does; `limits[0]` is that of what is asked for itself."""
        super().__init__()
        self.scaling, self.limits = scaling, tuple(limits)
        for name, rows, columns, size in (
            ("user", users, videos, sizes),
            ("video", videos, users, sizes[::-1]),
        ):
            starts, ends = _lists(rows, columns, size)
            self.register_buffer(f"{name}_starts", starts, persistent=False)
            other = "videos" if name == "user" else "users"
            self.register_buffer(f"{name}_{other}", ends, persistent=False)

    def around(self, users: Tensor, videos: Tensor, draw: int) -> Neighbourhood:
        """Draw the graph around rows `users: (B,)` and `videos: (V',)`; `draw` numbers the draw."""
        users, user_places = torch.unique(users, return_inverse=True)
        videos, video_places = torch.unique(videos, return_inverse=True)
        hops: list[Hop] = []
        for depth, limit in enumerate(self.limits):
            into_users = self._drawn(USERS, users, limit, (draw, depth))
            into_videos = self._drawn(VIDEOS, videos, limit, (draw, depth))
            users, own_users, video_columns = _joined(users, into_videos.columns)
            videos, own_videos, user_columns = _joined(videos, into_users.columns)
            into_users = into_users._replace(columns=user_columns)
            into_videos = into_videos._replace(columns=video_columns)
            hops.append(DrawnHop(into_users, into_videos, own_users, own_videos))
        return Neighbourhood(users, videos, hops[::-1], (user_places, video_places))

    def forward(self, users: Tensor, videos: Tensor) -> tuple[Tensor, Tensor]:
        """Send all vectors along all edges, some edges at a time (see `InteractionGraph`)."""
        return self._everything(USERS, videos), self._everything(VIDEOS, users)

    def own(self, users: Tensor, videos: Tensor) -> tuple[Tensor, Tensor]:
        """Return all there are (see `Hop`)."""
        return users, videos

    def _everything(self, side: int, dense: Tensor) -> Tensor:
        starts = self._sides()[side][0]
        carried = dense.new_empty(len(starts) - 1, dense.shape[1])
        for first, last in _blocks(starts):
            rows = torch.arange(first, last, device=starts.device)
            links = self._drawn(side, rows, len(dense), (0, 0))
            carried[first:last] = links.carry(dense)
        return carried

    def _sides(self) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
        return (self.user_starts, self.user_videos), (self.video_starts, self.video_users)

    def _drawn(self, side: int, rows: Tensor, limit: int, draw: tuple[int, int]) -> Links:
        """Draw at most `limit` neighbours for each of `rows: (N,)` of one side."""
        starts, columns = self._sides()[side]
        first, degrees = starts[rows], starts[rows + 1] - starts[rows]
        counts = degrees.clamp(max=limit)
        begun = starts_of(counts)
        owners = torch.arange(len(rows), device=rows.device).repeat_interleave(counts)
        within = torch.arange(len(owners), device=rows.device) - begun[owners]
        turns = _hashed(rows, (*draw, side)) % degrees.clamp(min=1)
        spread = within * degrees[owners] // counts[owners]
        places = first[owners] + (turns[owners] + spread) % degrees[owners]
        found = columns[places].long()
        if self.scaling == "mean":
            return Links(found, begun, counts.float().reciprocal()[owners])
        others = self._sides()[1 - side][0]
        theirs = (others[found + 1] - others[found]).float()
        scale = degrees.float().sqrt() / counts
        return Links(found, begun, scale[owners] * theirs.rsqrt())


def _lists(rows: Tensor, columns: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Return where the neighbours of each row start, and the neighbours, as int32."""
    # Sorted in place: an order beside the columns would take twice the memory.
    keys = rows.numpy() * size[1]
    keys += columns.numpy()
    keys.sort()
    starts = torch.from_numpy(np.searchsorted(keys, np.arange(size[0] + 1) * size[1]))
    np.remainder(keys, size[1], out=keys)
    return starts, torch.from_numpy(keys.astype(np.int32))


def _joined(targets: Tensor, columns: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return all rows among both, ascending, and the places of `targets` and `columns` in them."""
    rows, places = torch.unique(torch.cat([targets, columns]), return_inverse=True)
    return rows, places[: len(targets)], places[len(targets) :]


def _blocks(starts: Tensor) -> Iterator[tuple[int, int]]:
    """Divide the rows so that each part has about EDGES_AT_ONCE edges, a single row maybe more."""
    first, rows = 0, len(starts) - 1
    while first < rows:
        limit = starts[first] + EDGES_AT_ONCE
        last = max(first + 1, int(torch.searchsorted(starts, limit, right=True)) - 1)
        yield first, last
        first = last


def _hashed(rows: Tensor, key: Sequence[int]) -> Tensor:
    """Return a number below 2^62 for each of `rows` that the `key` makes as good as random."""
    mixed = torch.zeros((), dtype=torch.int64, device=rows.device)
    for part in key:
        mixed = _mixed(mixed + part + 1)
    return _mixed(rows + mixed) & POSITIVE


def _mixed(numbers: Tensor) -> Tensor:
    for shift, multiplier in MIXING:
        # Shifted as if without a sign.
        shifted = (numbers >> shift) & ((1 << (64 - shift)) - 1)
        numbers = (numbers ^ shifted) * multiplier
    return numbers
