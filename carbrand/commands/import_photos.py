"""`carbrand import`: bring photos of another shape into Datasets."""

from __future__ import annotations

import argparse
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from carbrand.commands.options import positive
from carbrand.node.errors import DONE, UserError
from carbrand.node.params import read_keys
from carbrand.node.terminal import print_line
from carbrand.node.wording import columns, count, first_few, one_line, shorten
from carbrand.photos.manifest import SPLITS

if TYPE_CHECKING:
    from carbrand.importing.plan import Plan
    from carbrand.importing.source import Source
    from carbrand.photos.folders.files import FoundFile

PARAMS, DATASETS = Path("params.yaml"), Path("Datasets")
TABLE = DATASETS / "imported.csv"
# In the comment of each drawing of the sample.
DRAWN = b"Drawn by carbrand sample, not a photograph."
_SHOWN, _NAME_WIDTH = 3, 28


def add(commands: Any) -> None:
    """Add the command to the parser's."""
    parser = commands.add_parser(
        "import",
        help="bring photos of another shape into Datasets",
        description="Copy photos into Datasets/train and Datasets/test: from a folder per brand, "
        "with or without splits, a table of labels, or an archive. Without a split, photos are "
        "dealt by brand, and copies and series stay together.",
    )
    parser.add_argument("source", type=Path, metavar="SOURCE", help="folder, table, ZIP or tar")
    parser.add_argument("--dry-run", action="store_true", help="only print what would be done")
    parser.add_argument("--link", action="store_true", help="hard links in place of copies")
    parser.add_argument(
        "--test-share", type=_share, default=0.2, metavar="X", help="of a brand; default: 0.2"
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the deal; default: 0")
    parser.add_argument(
        "--val", choices=(*SPLITS, "skip"), default="", help="what validation photos join"
    )
    parser.add_argument(
        "--depth", type=positive, default=1, metavar="N", help="how many folders name the brand"
    )
    parser.add_argument("--label", default="", metavar="COLUMN", help="the column of labels")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print what goes where, and bring it there."""
    from carbrand.commands.preflight import check_photos_are_here
    from carbrand.importing.imported_file import import_files, read_imported
    from carbrand.importing.plan import CopyParams, make_plan
    from carbrand.importing.source import place_splits, read_source
    from carbrand.pipeline.locks import TEMPORARY, alone

    params = read_keys(PARAMS, "validate", CopyParams)
    check_photos_are_here(pull=False)
    scratch = TEMPORARY / "import"
    with alone(TEMPORARY):
        shutil.rmtree(scratch, ignore_errors=True)  # of an import that was killed
        scratch.mkdir()
        try:
            existing = _existing_photos()
            source = read_source(arguments.source, scratch, arguments.depth, arguments.label)
            place_splits(source, arguments.val, any(file.split == "test" for file in existing))
            recorded = read_imported(TABLE)
            split = (arguments.test_share, arguments.seed)
            plan = make_plan(source, DATASETS, existing, recorded, params, *split)
            for line in _describe(plan, source):
                print_line(line)
            if not (plan.new or plan.there):
                raise UserError(f"{arguments.source} has no readable photo. Nothing was imported.")
            if plan.new and not arguments.dry_run:
                import_files(plan.new, plan.rows, TABLE, arguments.link)
                print_line(f"Done. {TABLE} says where each photo came from.")
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    return DONE


def _existing_photos() -> list[FoundFile]:
    """The files in Datasets. Raises UserError if they are the drawn sample."""
    from carbrand.photos.folders.files import walk_splits

    folders = {split: DATASETS / split for split in SPLITS if (DATASETS / split).is_dir()}
    files = [file for tree in walk_splits(folders).values() for file in tree.files]
    for file in files:
        photo = Path(file.path)
        if photo.is_file() and not photo.is_symlink() and DRAWN in photo.read_bytes()[:200]:
            raise UserError(
                f"{file.path} is a drawing of the sample, which would be learned too. "
                f"`rm -r {DATASETS / 'train'} {DATASETS / 'test'}` deletes the sample."
            )
    return files


def _describe(plan: Plan, source: Source) -> Iterator[str]:
    yield f"{source.name}: {source.shape}"
    yield from (f"note: {note}" for note in source.notes)
    there = Counter((row.brand, row.split) for row in plan.there)
    new = Counter((row.brand, row.split) for _, row in plan.new)
    brands = sorted({brand for brand, _ in there | new})
    yield f"{'brand':{_NAME_WIDTH}}  train    new   test    new"
    for brand in brands:
        name = shorten(one_line(brand), _NAME_WIDTH)
        cells = [f"{there[brand, s] + new[brand, s]:5}  {new[brand, s]:5}" for s in SPLITS]
        yield f"{name}{' ' * (_NAME_WIDTH - columns(name))}  {'  '.join(cells)}"
    groups = Counter(row.group for _, row in plan.new if row.group)
    if groups:
        yield f"copies and series: {count(len(groups), 'group')}, {groups.total():,} new photos"
    for reason, places in source.skipped.items():
        if places:
            some = first_few([one_line(place) for place in sorted(places)], _SHOWN)
            yield f"skipped {len(places):,}: {reason} ({some})"
    for split in SPLITS:
        lacking = [one_line(it) for it in brands if not there[it, split] + new[it, split]]
        if lacking:
            yield f"note: {split} has no photo of {first_few(lacking, _SHOWN)}"


def _share(text: str) -> float:
    """A share from 0 to 0.9."""
    share = float(text)
    if not 0 <= share <= 0.9:
        raise argparse.ArgumentTypeError(f"must be from 0 to 0.9, got {text!r}")
    return share
