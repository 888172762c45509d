"""What tests of several rooms share and what takes seconds to start."""

from collections.abc import Iterator

import pytest
import torch

from tests.support.milvus import MilvusServer


@pytest.fixture(autouse=True)
def seeded() -> None:
    """What a test draws is the same whatever ran before it."""
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def milvus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MilvusServer]:
    """A running Milvus. Tests may stop it for a while, and leave nothing behind by their names."""
    with MilvusServer(tmp_path_factory.mktemp("milvus")) as server:
        yield server.start()
