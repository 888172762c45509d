"""Which formats can be imported, by the names that people look for, and what each is told.

Knows every importer; nothing of dataset folders or terminals.
"""

from typing import Final

from training.data.importers.diffmm import read_diffmm
from training.data.importers.imported import Imported, Importer, Options
from training.data.importers.log import read_log
from training.data.importers.microlens import read_microlens
from training.data.importers.mmgcn import read_mmgcn
from training.data.importers.mmrec import read_mmrec
from training.data.importers.mmssl import read_mmssl
from training.data.importers.movielens import read_movielens
from training.data.importers.npz import read_npz
from training.data.importers.recbole import read_recbole
from training.data.importers.table import read_tables
from training.errors import TrainingError

COLUMNS: Final = ("user_column", "video_column", "time_column", "split_column")
# One reader may go by several names: people look for the one they know.
IMPORTERS: Final = {
    "npz": Importer(read_npz),
    "csv": Importer(read_tables, (*COLUMNS, "seed")),
    "parquet": Importer(read_tables, (*COLUMNS, "seed")),
    "mmgcn": Importer(read_mmgcn, ("first_video", "seed")),
    "metammf": Importer(read_mmgcn, ("first_video", "seed")),
    "mmssl": Importer(read_mmssl),
    "diffmm": Importer(read_diffmm),
    "mmrec": Importer(read_mmrec, COLUMNS),
    "recbole": Importer(read_recbole, ("user_column", "video_column", "time_column", "seed")),
    "microlens": Importer(read_microlens),
    "movielens": Importer(read_movielens, ("seed",)),
    "log": Importer(read_log, ("base",), source=str, own_features=True),
}


def read_foreign(format_: str, source: str, options: Options) -> Imported:
    """Read `source`, a folder or the URL of an event log, as `format_` has it.

    Raises:
        TrainingError: there is no such format, it does not take one of the options, or the source
            is not as it should be.
    """
    if format_ not in IMPORTERS:
        raise TrainingError(f"unknown format {format_!r}, expected one of {list(IMPORTERS)}")
    importer = IMPORTERS[format_]
    refused = importer.refused(options)
    if refused:
        raise TrainingError(f"--{refused[0].replace('_', '-')}: not for the format {format_!r}")
    return importer.read(importer.source(source), options)
