"""Finds the feature files of a source and reads matrices that are in the videos' order.

Knows file names and modalities; nothing of ids, users or of any one format.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

from models.modality import MODALITIES, Modality
from training.data.dataset import Floats
from training.data.importers.imported import Options
from training.data.matrix import fault_in_values, read_matrix

Names = Mapping[Modality, Sequence[str]]
# What the MMRec, MMSSL and DiffMM families call them.
FEAT_NAMES: Final[Names] = {
    "visual": ["image_feat.npy"],
    "acoustic": ["audio_feat.npy"],
    "textual": ["text_feat.npy"],
}
FEATURE_OPTIONS: Final = ", ".join(f"--{modality}" for modality in MODALITIES)


def find_features(
    folders: Iterable[Path], names: Names, options: Options, faults: list[str]
) -> dict[Modality, Path]:
    """Return each modality's file: the one that the options name, or the first that is there.

    `names` are file names or patterns of them, the more usual before the less usual.
    """
    folders = list(folders)
    found: dict[Modality, Path] = {}
    for modality in MODALITIES:
        given = options.features.get(modality)
        file = given or _first_file(folders, names.get(modality, ()), modality, faults)
        if file is not None and (given is None or _is_file(file, faults)):
            found[modality] = file
    if not found and not faults:
        wanted = [name for modality in MODALITIES for name in names.get(modality, ())]
        faults.append(f"{folders[0]}: holds none of {wanted}; name files by {FEATURE_OPTIONS}")
    return found


def read_row_features(
    folders: Iterable[Path], names: Names, options: Options, faults: list[str]
) -> dict[Modality, Floats]:
    """Read the matrices whose row i belongs to video i, or add to `faults` what is wrong."""
    files = find_features(folders, names, options, faults)
    matrices = {modality: read_finite(file, faults) for modality, file in files.items()}
    features = {m: matrix for m, matrix in matrices.items() if matrix is not None}
    if len({len(matrix) for matrix in features.values()}) > 1:
        heights = {files[m].name: len(matrix) for m, matrix in features.items()}
        faults.append(f"feature files differ in rows: {heights}")
    return features


def read_finite(file: Path, faults: list[str]) -> Floats | None:
    """Read an .npy matrix as float32, or add to `faults` why it cannot be had."""
    if file.suffix == ".pt":
        faults.append(_unopened(file))
        return None
    matrix = read_matrix(file, faults)
    if matrix is not None:
        fault = fault_in_values(matrix)
        faults.extend([f"{file.name}: {fault}"] if fault else [])
    return matrix


def _first_file(
    folders: list[Path], names: Sequence[str], modality: Modality, faults: list[str]
) -> Path | None:
    for name in names:
        for folder in folders:
            files = sorted(folder.glob(name))
            if len(files) > 1:
                text = f"{[file.name for file in files]} are all there; choose by --{modality}"
                faults.append(f"{folder}: {text}")
            if files:
                return files[0]
            other = (folder / name).with_suffix(".pt")
            if other.exists():
                faults.append(_unopened(other))
    return None


def _unopened(file: Path) -> str:
    made = file.with_suffix(".npy").name
    return (
        f"{file.name}: is a pickle of torch's and not opened. If you trust it, run in its folder: "
        f'python -c "import numpy, torch; numpy.save({made!r}, '
        f"torch.load({file.name!r}, weights_only=True, map_location='cpu').numpy())\" "
        "(or move it away to import without it)"
    )


def _is_file(file: Path, faults: list[str]) -> bool:
    if not file.is_file():
        faults.append(f"{file} is missing")
    return file.is_file()
