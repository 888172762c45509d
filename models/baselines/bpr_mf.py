"""Plain matrix factorisation: ids alone, no features (Rendle et al., UAI 2009)."""

from torch import Tensor, nn

from models.recommender import EmbeddingTable, Pairing


class BprMf(nn.Module):
    """A free vector for each user and each video, and a bias for each video."""

    def __init__(self, *, users: int, videos: int, width: int) -> None:
        """Draw embeddings of `width`; vectors are D = width + 1 wide."""
        super().__init__()
        self.catalog = EmbeddingTable(videos, width, learn_bias=True)
        self.audience = EmbeddingTable(users, width, learn_bias=False)

    def user_vectors(self, rows: Tensor) -> Tensor:
        """Return the vectors of user `rows: (B,)`: (B, D) (see `Recommender`)."""
        vectors: Tensor = self.audience(rows)
        return vectors

    def video_vectors(self, rows: Tensor) -> Tensor:
        """Return the vectors of video `rows: (B,)`: (B, D) (see `Recommender`)."""
        vectors: Tensor = self.catalog(rows)
        return vectors

    def pairings(self, users: Tensor, videos: Tensor) -> list[Pairing]:
        """Return the one pairing there is (see `Recommender`)."""
        vectors = self.video_vectors(videos)
        return [Pairing(self.user_vectors(users), vectors, vectors)]
