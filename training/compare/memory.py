"""How much memory this process took at most since it was last asked to forget. Knows Linux files.

Elsewhere the peak since the start of the process is all there is to tell.
"""

import resource
import sys
from pathlib import Path
from typing import Final

FORGET: Final = Path("/proc/self/clear_refs")
STATUS: Final = Path("/proc/self/status")
# What the first file takes for "the peak is what is resident now" (see proc(5)).
PEAK_IS_NOW: Final = "5"
KIB: Final = 1024


def forget_peak() -> None:
    """Let the peak begin anew, where that can be done."""
    if FORGET.exists():
        FORGET.write_text(PEAK_IS_NOW)


def peak_mib() -> float:
    """Return the most memory that was resident, in MiB."""
    if STATUS.exists():
        lines = STATUS.read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) / KIB
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (KIB * KIB if sys.platform == "darwin" else KIB)
