"""`python -m carbrand …` is `carbrand …`."""

from __future__ import annotations

import sys

from carbrand.cli import main

if __name__ == "__main__":
    sys.exit(main())
