"""Reads files of weights in a process of its own, watched: what it says, opens and takes.

`python -m tests.promises.weights_reader FOLDER` reads every .h5 in FOLDER as the project does and
prints a line of JSON for each.
"""

from __future__ import annotations

import gc
import json
import os
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from carbrand.model.model_file import read_metadata
from carbrand.network.inference.engines import open_engine
from carbrand.network.weights.layer_weights import read_layers
from carbrand.network.weights.network_file import NotANetwork, read_network
from carbrand.node.errors import UserError
from tests.promises.photo_mutations import forget_peak, peak_megabytes
from tests.unit.network.weights.test_h5_file import EXPECTED

# Nothing that reads numbers has any business with these.
FORBIDDEN = ("socket.", "subprocess.", "os.", "import", "exec", "compile", "ctypes.", "pickle.")
# Of finding out what there is to know of a path.
HARMLESS = ("os.listdir", "os.scandir")


def read(path: Path) -> str:
    """The one kind of error that refuses such a file; empty where it is read."""
    try:
        if path.name.startswith("weights"):
            read_layers(path, "testnet", EXPECTED, frozenset())
        elif path.name.startswith("about"):
            read_metadata(path)
        else:
            open_engine("openvino", read_network(path), ["head"])
    except NotANetwork as error:
        return type(error).__name__
    except UserError as error:
        return "UserError" if len(error.problems) == 1 else "several lines"
    return ""


def read_all(folder: Path) -> None:
    """Print of every file what was said, what was opened beside it, and the memory it took."""
    allowed, watching = "", False
    seen = Counter[str]()

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        if not watching or event in HARMLESS:
            return
        if event == "open" and os.fsdecode(arguments[0]) != allowed:
            seen[f"open {arguments[0]}"] += 1
        elif event.startswith(FORBIDDEN):
            seen[f"{event} {arguments}"[:200]] += 1

    sys.addaudithook(watch)
    files = sorted(path for path in folder.iterdir() if path.suffix == ".h5")
    for path in files:  # whatever is imported late
        read(path)
    for path in files:
        gc.collect()
        forget_peak()
        before, allowed = peak_megabytes(), str(path)
        seen.clear()
        watching = True
        said = read(path)
        watching = False
        took = peak_megabytes() - before
        told = {"name": path.name, "said": said, "opened": dict(seen), "took_mb": took}
        print(json.dumps(told), flush=True)


if __name__ == "__main__":
    read_all(Path(sys.argv[1]))
