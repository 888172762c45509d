"""An interaction costs a bounded number of bytes: read, checked, divided, grouped and sampled.

The peak of two processes, one with more interactions of the same users and videos, differs by what
the further interactions cost.
"""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from training.data.dataset import SPLITS

USERS, VIDEOS = 5000, 800
FEW, MANY = 200, 600
# The dataset itself takes 16 bytes an interaction; one column of texts alone would take 12.
MOST_BYTES = 60

# VmHWM, not ru_maxrss: that begins with the peak of who started the process.
CHILD = """
import json, re, sys
from pathlib import Path
from training.data.companions import Companions
from training.data.folder import read_dataset
from training.data.sampling import Sampler

def peak():
    return 1024 * int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])

dataset = read_dataset(Path(sys.argv[1]))
read = peak()
sampler = Sampler(dataset.train, users=dataset.users, videos=dataset.videos)
companions = Companions(dataset.train, users=dataset.users)
print(json.dumps({"read": read, "indexed": peak(), "interactions": len(dataset.train)}))
"""


def written(folder: Path, each: int, columns: tuple[str, ...]) -> Path:
    """Write a folder in which every user met `each` videos, in random order."""
    folder.mkdir()
    (folder / "dataset.json").write_text('{"format_version": 1}')
    videos = pa.array([f"video-{row:06d}" for row in range(VIDEOS)])
    pq.write_table(pa.table({"video_id": videos}), folder / "videos.parquet")
    rng = np.random.default_rng(0)
    np.save(folder / "visual.npy", rng.normal(size=(VIDEOS, 2)))
    users = pa.array([f"user-{row:07d}" for row in range(USERS)])
    who, what = np.divmod(rng.permutation(USERS * each), each)
    table = {
        "user_id": users.take(pa.array(who)),
        "video_id": videos.take(pa.array(what)),
        "split": pa.array(SPLITS).take(pa.array(np.maximum(0, what % 20 - 17))),
        "timestamp": pa.array(np.arange(len(who))),
    }
    wanted = pa.table(table).select(["user_id", "video_id", *columns])
    pq.write_table(wanted, folder / "interactions.parquet")
    return folder


def peaks(folder: Path) -> dict[str, int]:
    command = [sys.executable, "-c", CHILD, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603 - ours
    found: dict[str, int] = json.loads(done.stdout)
    return found


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak is read from /proc")
@pytest.mark.parametrize("columns", [("split", "timestamp"), ("timestamp",), ()])
def test_an_interaction_takes_few_bytes_at_the_peak(
    columns: tuple[str, ...], tmp_path: Path
) -> None:
    few, many = (peaks(written(tmp_path / str(each), each, columns)) for each in (FEW, MANY))
    further = USERS * (MANY - FEW)
    assert many["interactions"] - few["interactions"] >= 0.79 * further
    each = {step: (many[step] - few[step]) / further for step in ("read", "indexed")}
    assert max(each.values()) < MOST_BYTES, each
