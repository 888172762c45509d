"""Collects what is wrong with a dataset, so that a person mends it in one go. Knows text alone."""

from collections.abc import Iterable
from typing import Any, Final

from training.errors import InvalidDataset

MAX_FAULTS_SHOWN: Final = 5


class Faults:
    """The faults found so far. Findings named in `accepted` are none."""

    def __init__(self, accepted: Iterable[str] = ()) -> None:
        """Start with nothing found."""
        self.found: list[str] = []
        self.accepted = set(accepted)

    def add(self, file: str, text: str) -> None:
        """Note that something is wrong with `file`."""
        self.found.append(f"{file}: {text}")

    def add_rows(self, file: str, rows: Any, text: str) -> None:
        """Note that something is wrong with `rows: (N,)` of `file`, if there are any."""
        shown = ", ".join(str(row) for row in rows[:MAX_FAULTS_SHOWN])
        more = f" and {len(rows) - MAX_FAULTS_SHOWN} more" if len(rows) > MAX_FAULTS_SHOWN else ""
        if len(rows):
            self.add(file, f"row{'s' if len(rows) > 1 else ''} {shown}{more}: {text}")

    def add_acceptable(self, finding: str, file: str, text: str) -> None:
        """Note something that is wrong unless the owner of the data accepts `finding`."""
        if finding not in self.accepted:
            remedy = f'mend it, or put "accept": ["{finding}"] into dataset.json to train anyway'
            self.add(file, f"{text} ({remedy})")

    def stop(self) -> None:
        """Raise InvalidDataset if anything is wrong."""
        if self.found:
            raise InvalidDataset(self.found)
