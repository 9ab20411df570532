"""`python -m bench.rivals.lite0 FILE`: EfficientNet-Lite0 as a .h5, for rivals to start from.

Rivals load this file as they would load weights that Keras downloaded before, and import Keras as
everybody does: without the settings by which this project makes its own runs repeatable.
"""

from __future__ import annotations

import sys
from pathlib import Path

from bench.rivals.article_script import SIZE_PX
from carbrand.network.backbones import IMAGENET, build_backbone


def main(path: Path) -> None:
    """Write the frozen backbone, its own scaling inside, for photos of the rivals' size."""
    build_backbone("efficientnet_lite0", SIZE_PX, IMAGENET).save(path)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
