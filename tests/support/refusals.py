"""What a test does with an error that a user sees."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from carbrand.node.errors import UserError


def one_line(act: Callable[[], object]) -> str:
    """The one problem for which `act` is refused, which a terminal can show."""
    with pytest.raises(UserError) as refused:
        act()
    (line,) = refused.value.problems
    assert line.isprintable()
    return line
