"""What can be wrong with what a person gave the trainer."""

from pathlib import Path


class TrainingError(Exception):
    """Something the person at the command line can mend; its text says what and where."""


class InvalidDataset(TrainingError):
    """A dataset folder breaks its format. Carries every fault found, not the first alone."""

    def __init__(self, faults: list[str]) -> None:
        """Keep `faults`, each naming the file, the row and what is wrong."""
        self.faults = faults
        super().__init__("\n".join(faults))


class CorruptCheckpoint(TrainingError):
    """A checkpoint cannot be read; remove the run folder and start again."""

    def __init__(self, file: Path, fault: str) -> None:
        """Name the file and what is wrong with it."""
        super().__init__(f"{file}: {fault}; remove the run folder to start again")


class Diverged(TrainingError):
    """Training has left the numbers there are."""

    def __init__(self) -> None:
        """Say what to do."""
        super().__init__("training diverged: its numbers are not finite; lower learning_rate")


class InvalidConfig(TrainingError):
    """A configuration file or a `--set` names an unknown key or a value out of range."""
