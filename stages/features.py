"""Look at every training photo once with a frozen backbone, so that training costs seconds.

Reads the manifest and the training photos it keeps.
Writes a folder: vectors of K views per photo, whose they are, and the backbone itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from carbrand.backbones import BACKBONES, MIN_SIZE_PX, build_backbone
from carbrand.extraction import extract
from carbrand.feature_store import Origin, backbone_file, write_features
from carbrand.manifest import Row, photos_to_learn_from, read_manifest
from carbrand.params import knob, read_section
from carbrand.photo import MAX_SIZE_PX, RESIZE_POLICIES, open_photo
from carbrand.pooling import POOLINGS
from carbrand.stage import start
from carbrand.views import Augmentation, make_view


@dataclass(frozen=True)
class FeaturesParams:
    """Which network looks at the photos, and at which views of them; see params.yaml."""

    backbone: str = knob(choices=tuple(BACKBONES))
    weights: str = knob()
    size_px: int = knob(low=MIN_SIZE_PX, high=MAX_SIZE_PX)
    resize: str = knob(choices=RESIZE_POLICIES)
    pooling: str = knob(choices=tuple(POOLINGS))
    views: int = knob(low=1, high=64)
    shear: float = knob(low=0.0, high=0.5)
    zoom: float = knob(low=0.0, high=0.5)
    crop: float = knob(low=0.2, high=1.0)
    flip: bool = knob()
    seed: int = knob(low=0)


def make_views(row: Row, params: FeaturesParams) -> np.ndarray:
    """The views of one photo, (views, size_px, size_px, 3) uint8; view 0 is the photo as it is."""
    photo = open_photo(row.path)
    augmentation = Augmentation(params.shear, params.zoom, params.crop, params.flip)
    return np.stack(
        [
            make_view(
                photo,
                number,
                row.pixel_sha256,
                params.size_px,
                params.resize,  # type: ignore[arg-type]
                augmentation,
                params.seed,
            )
            for number in range(params.views)
        ]
    )


def main(params_file: Path, manifest: Path, out: Path) -> None:
    """Read the photos to learn from, write what the backbone sees in them."""
    params = read_section(params_file, "features", FeaturesParams)
    rows = photos_to_learn_from(read_manifest(manifest))
    backbone = build_backbone(params.backbone, params.size_px, params.weights)
    vectors = extract(
        rows, lambda row: make_views(row, params), params.views, backbone, params.pooling
    )
    out.mkdir(parents=True, exist_ok=True)
    origin = Origin(pooling=params.pooling, resize=params.resize, size_px=params.size_px)
    write_features(out, vectors, [(row.path, row.brand, row.pixel_sha256) for row in rows], origin)
    backbone.save(backbone_file(out))


if __name__ == "__main__":
    start(main)
