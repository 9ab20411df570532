"""AdamW with a warm-up and a cosine, and smaller rates for layers nearer to the photo."""

from __future__ import annotations

import math
from types import ModuleType
from typing import Any

from carbrand.training.finetuning.settings import FinetuneParams


def learning_rate(step: int, steps: int, params: FinetuneParams) -> float:
    """The rate of step 0, 1, … of `steps`: rises linearly, then falls to 0 by a half cosine.

    Loshchilov and Hutter, arXiv:1608.03983; the warm-up of Goyal et al., arXiv:1706.02677.
    """
    warm = max(1, round(params.warmup * steps))
    if step < warm:
        return params.learning_rate * (step + 1) / warm
    done = (step - warm) / max(1, steps - warm)
    return params.learning_rate * 0.5 * (1.0 + math.cos(math.pi * done))


def make_optimizer(keras: ModuleType, model: Any, params: FinetuneParams) -> Any:
    """AdamW (arXiv:1711.05101) for the model's layers; biases and norms do not decay.

    The learning rate of a layer is `layer_decay` to the power of how far it lies from the head, 1
    for each tenth of the weighted layers (Howard and Ruder, arXiv:1801.06146).
    """
    factors = _layer_factors(model, params.layer_decay)

    class LayerwiseAdamW(keras.optimizers.AdamW):  # type: ignore[misc, name-defined]
        def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
            path = self._trainable_variables[self._get_variable_index(variable)].path
            super().update_step(gradient, variable, learning_rate * factors[path])

    kind = keras.optimizers.AdamW if params.layer_decay == 1.0 else LayerwiseAdamW
    optimizer = kind(
        params.learning_rate,
        weight_decay=params.weight_decay,
        use_ema=params.ema > 0,
        ema_momentum=params.ema or 0.99,
    )
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    return optimizer


def _layer_factors(model: Any, decay: float) -> dict[str, float]:
    weighted = [layer for layer in model.layers if layer.weights]
    return {
        variable.path: decay ** (10.0 * (len(weighted) - 1 - number) / len(weighted))
        for number, layer in enumerate(weighted)
        for variable in layer.trainable_variables
    }
