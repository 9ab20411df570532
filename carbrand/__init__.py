"""The domain library: photos, weights, backbones, heads, honest evaluation, figures.

Nothing in here chooses a path or reads params.yaml as a whole; `stages/` and the command line do.
"""

from carbrand.node.errors import explain_missing_packages

explain_missing_packages()
