"""A .tflite file over photos, with LiteRT and nothing else.

python run_litert.py MODEL PHOTOS.npy PROBABILITIES.npy
"""

from __future__ import annotations

import sys


def main(model: str, photos: str, probabilities: str) -> None:
    """Photos (n, s, s, 3), 0…255, one by one; probabilities (n, brands) float32."""
    import numpy as np
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model, num_threads=2)
    interpreter.allocate_tensors()
    (given,), (answer,) = interpreter.get_input_details(), interpreter.get_output_details()
    found = []
    for photo in np.load(photos, mmap_mode="r"):
        interpreter.set_tensor(given["index"], photo[None].astype(np.float32))
        interpreter.invoke()
        found.append(interpreter.get_tensor(answer["index"]))
    np.save(probabilities, np.concatenate(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
