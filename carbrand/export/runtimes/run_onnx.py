"""A .onnx file over photos, with ONNX Runtime and nothing else.

python run_onnx.py MODEL PHOTOS.npy PROBABILITIES.npy
"""

from __future__ import annotations

import sys


def main(model: str, photos: str, probabilities: str) -> None:
    """Photos (n, s, s, 3), 0…255, one by one; probabilities (n, brands) float32."""
    import numpy as np
    import onnxruntime

    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    found = [
        session.run(["probabilities"], {"photos": photo[None].astype(np.float32)})[0]
        for photo in np.load(photos, mmap_mode="r")
    ]
    np.save(probabilities, np.concatenate(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
