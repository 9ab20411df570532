"""The domain library: photos, weights, backbones, heads, honest evaluation, figures.

Nothing in here chooses a path or reads params.yaml as a whole; `stages/` and the command line do.
`load` is for Python programs; all else is imported from its room.
"""

from typing import TYPE_CHECKING, Any

from carbrand.node.errors import explain_missing_packages

if TYPE_CHECKING:
    from carbrand.release.registry.load import load

__all__ = ["load"]

explain_missing_packages()


def __getattr__(name: str) -> Any:
    if name == "load":  # late: importing any room must not import this one
        from carbrand.release.registry.load import load

        return load
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
