"""Why a bundle is refused."""

from pathlib import Path


class BundleError(Exception):
    """A bundle cannot be used. Names the file and the fault."""

    def __init__(self, file: Path, fault: str) -> None:
        """Keep the `file` at fault and what is wrong with it."""
        self.file = file
        self.fault = fault
        super().__init__(f"{file}: {fault}")


class NoBundle(BundleError):
    """There is nothing to load: no CURRENT, or no bundle that can be read."""


class UnsupportedFormat(BundleError):
    """The bundle was written in a format this program does not know, as a rule a newer one."""


class UnfitBundle(BundleError):
    """The bundle is whole, but cannot take the place of the one that is served."""


class CorruptBundle(BundleError):
    """A file is missing, cut, altered, or does not fit the manifest."""
