"""Checks before a run: what can be known to stop a node without opening a photo or TensorFlow."""

from __future__ import annotations

from pathlib import Path

from carbrand.checks.named_series import HEADER as GROUPS_HEADER
from carbrand.network.architecture.hub_presets import is_hub_name, preset_folder
from carbrand.network.architecture.own_network import is_file_name
from carbrand.network.backbones import IMAGENET, check_weights
from carbrand.node.errors import UserError
from carbrand.node.params import read_file
from carbrand.node.terminal import print_note
from carbrand.node.wording import count
from carbrand.photos.corrections import HEADER as CORRECTIONS_HEADER
from carbrand.photos.decode import heif_file
from carbrand.photos.folders.links import describe_refused, find_refused
from carbrand.photos.manifest import mark_refused
from carbrand.photos.photo import UNREAD_HEIC
from carbrand.pipeline.locks import TEMPORARY, alone

DATASETS = Path("Datasets")
FOLDERS = {"train": DATASETS / "train", "test": DATASETS / "test"}
WEIGHTS = Path("weights")
# What a person may say of photos; the first line of each file.
TABLES = {
    DATASETS / "corrections.csv": CORRECTIONS_HEADER,
    DATASETS / "groups.csv": GROUPS_HEADER,
}
MANIFEST = Path("artifacts/validate/manifest.csv")


def check_photos_are_here(pull: bool) -> bool:
    """Whether the photos are here. Raises UserError where DVC has them elsewhere, unless `pull`.

    pull: whether DVC is to fetch them before the nodes run.
    """
    elsewhere = _tracked_elsewhere()
    if elsewhere and not pull:
        raise UserError(
            f"The photos are not here: DVC keeps them elsewhere. `dvc pull {' '.join(elsewhere)}` "
            f"gets them."
        )
    return not elsewhere


def make_tables() -> None:
    """Write empty tables where somebody removed them with the sample: DVC asks for the files."""
    for path, header in TABLES.items():
        if DATASETS.is_dir() and not path.exists():
            path.write_text(header, "utf-8", newline="\n")


def check_files() -> None:
    """Raise UserError for links that lead to no photo, and for pipes and devices.

    DVC would read what they lead to, fail at it, or wait for ever. The manifest of the run before
    must not go on listing them as kept.
    """
    # DVC looks at all of Datasets, but into no folder behind a link.
    unread = find_refused(DATASETS, None) | find_refused(WEIGHTS, None)
    unfit = {path: reason for path, reason in unread.items() if not Path(path).is_dir()}
    for folder in FOLDERS.values():
        unfit |= find_refused(folder, tuple(FOLDERS.values()))
    if unfit:
        with alone(TEMPORARY):
            mark_refused(MANIFEST, unfit, FOLDERS)
        raise UserError(*describe_refused(dict(sorted(unfit.items()))))


def note_unread_heic() -> None:
    """Print a note if the last run left out HEIC photos that can be read now: DVC does not know."""
    if heif_file.IS_READ and MANIFEST.exists():
        unread = MANIFEST.read_bytes().count(UNREAD_HEIC.encode())
        if unread:
            print_note(
                f"note: {count(unread, 'HEIC photo')} could not be read at the last check, but can "
                f"be now: `dvc repro --single-item --force validate`, then run this again."
            )


def check_own_weights(backbone: str, weights: str) -> None:
    """Raise UserError for weights that cannot be read; print a note if DVC does not watch them."""
    check_weights(backbone, weights)
    file: str | Path = backbone if is_file_name(backbone) else weights
    if is_hub_name(backbone):
        file = preset_folder(backbone) or IMAGENET
    if file != IMAGENET and WEIGHTS.resolve() not in Path(file).resolve().parents:
        print_note(
            f"note: {file} is not in {WEIGHTS}/, the folder that DVC watches. When it "
            f"changes, run `dvc repro --force features`."
        )


def _tracked_elsewhere() -> list[str]:
    """The .dvc files of folders of photos that are missing, as in a new clone.

    Raises UserError where one of them cannot be read.
    """
    files = {folder: folder.with_name(f"{folder.name}.dvc") for folder in FOLDERS.values()}
    there = {folder: file for folder, file in files.items() if file.exists()}
    for file in there.values():
        read_file(file)
    return [str(file) for folder, file in there.items() if not folder.exists()]
