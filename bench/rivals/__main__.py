"""`python -m bench.rivals NAME FOLDER OUT EPOCHS [FILE]`: one rival, as a process of its own.

FOLDER holds train/ and test/; what the rival writes goes to OUT. FILE is the network to start from:
for `resnet50` a .h5 of its weights (random ones without), for the others the network itself. Prints
one line of JSON: what it says of each test photo.
"""

from __future__ import annotations

import contextlib
import json
import sys
from pathlib import Path

from bench.rivals import article_script, keras_guide, plain_tuning

# The article's script on its own network, on Lite0, and on Lite0 with the scaling that it was
# trained with; the guide, and plain fine-tuning, on Lite0.
RESNET50, LITE0, LITE0_SCALED, GUIDE = "resnet50", "lite0", "lite0_scaled", "guide"
PLAIN = "plain_tuning"
RIVALS = (RESNET50, LITE0, LITE0_SCALED, GUIDE, PLAIN)


def run(name: str, folder: Path, out: Path, epochs: int, file: str | None) -> dict[str, str]:
    """The rival's answers by `brand/file`. The last two have fewer of their own: at most those."""
    if name == RESNET50:
        base = article_script.build_resnet50(file)
        return article_script.train_and_predict(folder, base, out, epochs)
    import keras

    base = keras.models.load_model(file, compile=False)
    if name == GUIDE:
        top, fine = min(epochs, keras_guide.TOP_EPOCHS), min(epochs, keras_guide.FINE_EPOCHS)
        return keras_guide.train_and_predict(folder, base, out, top, fine)
    if name == PLAIN:
        return plain_tuning.train_and_predict(folder, base, out, min(epochs, plain_tuning.EPOCHS))
    return article_script.train_and_predict(folder, base, out, epochs, divide=name == LITE0)


def main() -> None:
    """Run it. What Keras itself prints goes to stderr."""
    name, folder, out, epochs, *file = sys.argv[1:]
    with contextlib.redirect_stdout(sys.stderr):
        answers = run(name, Path(folder), Path(out), int(epochs), file[0] if file else None)
    print(json.dumps(answers))


if __name__ == "__main__":
    main()
