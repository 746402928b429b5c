"""Muon for convolutions too."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="latentsearch")
class Muon(keras.optimizers.Muon):
    """Keras's Muon, which also takes the kernels of convolutions, as matrices (height * width * inputs, outputs).

    Each step of such a weight is the momentum with all its singular values made about 1, by Newton-Schulz
    iterations: Jordan et al., "Muon: An optimizer for hidden layers in neural networks" (2024). Kernels of convolutions
    that see fewer than 16 channels, such as those of the first layer, and all that is no kernel are left to AdamW.

    Args:
        iteration_dtype: What the iterations are computed in; the authors use "bfloat16".
        **kwargs: Of `keras.optimizers.Muon`.
    """

    def __init__(self, *arguments: Any, iteration_dtype: str = "float32", **kwargs: Any) -> None:
        super().__init__(*arguments, **kwargs)
        self.iteration_dtype = iteration_dtype

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "iteration_dtype": self.iteration_dtype}

    def _should_use_adamw(self, variable: keras.Variable) -> bool:
        if len(variable.shape) == 4:
            return variable.shape[2] < 16
        return super()._should_use_adamw(variable)

    def _muon_update_step(
        self, gradient: keras.KerasTensor, variable: keras.Variable, lr: keras.KerasTensor, m: keras.Variable
    ) -> None:
        self.assign_add(m, ops.add(gradient, m * (self.momentum - 1)))
        momentum = ops.add(gradient, self.momentum * m) if self.nesterov else m
        matrix = ops.cast(ops.reshape(momentum, (-1, variable.shape[-1])), self.iteration_dtype)
        update = ops.cast(self.zeropower_via_newtonschulz5(matrix, self.ns_steps), variable.dtype)
        update = self.lr_adjust(update)
        self.assign_sub(variable, lr * ops.reshape(update, variable.shape))
