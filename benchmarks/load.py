"""Loads a dataset folder and prints how many seconds it took. Who starts it reads the peak.

`python -m benchmarks.load FOLDER`
"""

import sys
import time
from pathlib import Path

from training.data.folder import read_dataset

if __name__ == "__main__":
    started = time.perf_counter()
    read_dataset(Path(sys.argv[1]))
    print(time.perf_counter() - started)  # noqa: T201 - read by who starts it
