"""Optimizers of a training: Adam, or Muon for convolutions too, with the schedule of the learning rate."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from latentsearch.training.settings import Settings


def optimizer_of(settings: Settings, steps: int) -> keras.optimizers.Optimizer:
    """Build the optimizer and the schedule of its learning rate.

    Args:
        settings: Settings of the training.
        steps: Batches an epoch.
    """
    rate: float | keras.optimizers.schedules.LearningRateSchedule = settings.learning_rate
    if settings.schedule == "cosine":
        warm_up = max(steps // 2, 1)
        rate = keras.optimizers.schedules.CosineDecay(
            0.0, max(steps * settings.epochs - warm_up, 1), warmup_target=settings.learning_rate, warmup_steps=warm_up
        )
    if settings.optimizer == "adam":
        return keras.optimizers.Adam(rate)
    # What Muon leaves to AdamW wants a tenth of its rate. Both decay weights by 0.05 times the full rate a step.
    return Muon(
        rate,
        adam_lr_ratio=0.1,
        weight_decay=0.05,
        adam_weight_decay=0.05,
        iteration_dtype=settings.precision,
    )


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
            return int(variable.shape[2]) < 16
        return bool(super()._should_use_adamw(variable))

    def _apply_weight_decay(self, variables: list[keras.Variable]) -> None:
        rate = self.learning_rate  # once a step; Keras's own computes the schedule anew for each weight
        for variable in variables:
            decay = self.adam_weight_decay if self._should_use_adamw(variable) else self.weight_decay
            if decay is not None and self._use_weight_decay(variable):
                factor = ops.cast(decay, variable.dtype), ops.cast(rate, variable.dtype)
                variable.assign(variable - variable * factor[0] * factor[1])

    def _muon_update_step(
        self, gradient: keras.KerasTensor, variable: keras.Variable, lr: keras.KerasTensor, m: keras.Variable
    ) -> None:
        self.assign_add(m, ops.add(gradient, m * (self.momentum - 1)))
        momentum = ops.add(gradient, self.momentum * m) if self.nesterov else m
        matrix = ops.cast(ops.reshape(momentum, (-1, variable.shape[-1])), self.iteration_dtype)
        update = ops.cast(self.zeropower_via_newtonschulz5(matrix, self.ns_steps), variable.dtype)
        update = self.lr_adjust(update)
        self.assign_sub(variable, lr * ops.reshape(update, variable.shape))
