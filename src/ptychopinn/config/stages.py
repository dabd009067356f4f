"""Training in stages: from data to physics, and fine-tuning layer by layer."""

from typing import Literal

from pydantic import Field

from ptychopinn.config.base import Section


class StagesConfig(Section):
    """Three stages of training, used where one has epochs: data alone, a weighted transition, physics alone."""

    data_epochs: int = Field(default=0, ge=0, le=1_000_000)
    """Number of epochs of the first stage, which minimises `data_loss` alone."""
    transition_epochs: int = Field(default=0, ge=0, le=1_000_000)
    """Number of epochs of the second stage, in which the weight moves from `data_loss` to the terms of `model.loss`
    (physics)."""
    physics_epochs: int = Field(default=0, ge=0, le=1_000_000)
    """Number of epochs of the third stage, which minimises the terms of `model.loss` alone."""
    data_loss: Literal["auto", "labels", "amplitude"] = "auto"
    """Loss of the first stage: `labels` (mean absolute difference of patches and known patches, weighted by the probe
    intensity), `amplitude` (squared difference of amplitudes, each pattern divided by its root mean square), or `auto`:
    labels if every scan has them."""
    physics_weight: Literal["linear", "cosine", "exponential"] = "cosine"
    """How the weight of the physics rises from 0 to 1 in the transition, once per epoch; `exponential` rises fastest at
    the start."""
    data_learning_rate: float = Field(default=1.0, gt=0)
    """Factor on the learning rate in the first stage."""
    transition_learning_rate: float = Field(default=1.0, gt=0)
    """Factor on the learning rate in the second stage. The schedules `multi_stage` and `adaptive` go from the first
    factor to the third instead."""
    physics_learning_rate: float | None = Field(default=None, gt=0)
    """Factor on the learning rate in the third stage. Null is 0.1 for the schedules `multi_stage` and `adaptive`, else
    1."""

    @property
    def epochs(self) -> int:
        """Of all three stages."""
        return self.data_epochs + self.transition_epochs + self.physics_epochs


class DecoderStage(Section):
    """First stage of staged fine-tuning: the decoder and the last layer."""

    epochs: int = Field(default=7, ge=0, le=1_000_000)
    """Number of epochs; 0 skips the stage."""
    decoder: float = Field(default=0.1, ge=0)
    """Factor on the learning rate of the decoder and the last layer."""


class EncoderTopStage(Section):
    """Second stage of staged fine-tuning: the decoder and the coarser half of the encoder (its top)."""

    epochs: int = Field(default=7, ge=0, le=1_000_000)
    """Number of epochs; 0 skips the stage."""
    encoder_top: float = Field(default=0.01, ge=0)
    """Factor on the learning rate of the coarser half of the encoder and the bottleneck."""
    decoder: float = Field(default=0.05, ge=0)
    """Factor on the learning rate of the decoder."""
    head: float = Field(default=0.1, ge=0)
    """Factor on the learning rate of the last layer."""


class WholeStage(Section):
    """Third stage of staged fine-tuning: the whole network."""

    epochs: int = Field(default=0, ge=0, le=1_000_000)
    """Number of epochs; 0 skips the stage."""
    encoder_bottom: float = Field(default=0.005, ge=0)
    """Factor on the learning rate of the finer half of the encoder."""
    encoder_top: float = Field(default=0.01, ge=0)
    """Factor on the learning rate of the coarser half of the encoder and the bottleneck."""
    decoder: float = Field(default=0.02, ge=0)
    """Factor on the learning rate of the decoder."""
    head: float = Field(default=0.05, ge=0)
    """Factor on the learning rate of the last layer."""


class FineTuneConfig(Section):
    """Fine-tuning: further epochs after the training, at a lower learning rate or layer by layer."""

    epochs: int = Field(default=0, ge=0, le=1_000_000)
    """Number of further epochs of the whole network after the training."""
    learning_rate: float = Field(default=0.1, gt=0)
    """Constant factor on the learning rate in these epochs."""
    staged: bool = False
    """Afterwards tune the decoder alone, then also the coarser half of the encoder, then the whole network. With
    `start_from` these stages replace the training."""
    decoder: DecoderStage = DecoderStage()
    encoder_top: EncoderTopStage = EncoderTopStage()
    whole: WholeStage = WholeStage()
    patience: int | None = Field(default=3, ge=1)
    """Go on to the next stage of staged fine-tuning after this number of epochs without a lower validation loss. Null
    runs all epochs."""
