"""Section `train`: how the network is fitted, for `train` and every fold."""

from typing import Annotated, Literal

from pydantic import Field

from pipeline.params.section import Section

Precision = Literal["auto", "float32", "bfloat16", "float16"]
Device = Literal["auto", "cpu", "gpu"]
Optimizer = Literal["sgd", "rmsprop", "adam", "adamw", "nadam", "lion", "muon"]
Schedule = Literal["linear", "cosine", "constant"]


class Train(Section):
    epochs: Annotated[int, Field(ge=1)]
    """1 or more: passes over the training images"""
    min_steps: Annotated[int, Field(ge=0)]
    """0 or more: a small data set gets more epochs, until it makes this many steps"""
    batch_size: Annotated[int, Field(ge=1)]
    """1 or more images per step; halved for a data set of fewer than 32 batches"""
    optimizer: Optimizer
    """sgd, rmsprop, adam, adamw, nadam, lion or muon (docs/training.md)"""
    learning_rate: Literal["auto"] | Annotated[float, Field(gt=0, allow_inf_nan=False)]
    """auto (by optimizer and network), or above 0: the peak, for a batch of 256; scaled with the batch"""
    schedule: Schedule
    """linear, cosine or constant: how the learning rate falls to 1 % after the warm-up"""
    warmup_fraction: Annotated[float, Field(ge=0, le=1)]
    """0 to 1: share of the steps in which the learning rate rises"""
    momentum: Annotated[float, Field(ge=0, lt=1)]
    """0 up to 1: of sgd (Nesterov), rmsprop and muon"""
    weight_decay: Literal["auto"] | Annotated[float, Field(ge=0, le=1)]
    """auto (by optimizer), or 0 to 1: per step and learning rate, on kernels only"""
    label_smoothing: Annotated[float, Field(ge=0, lt=1)]
    """0 up to 1: above 0 the probabilities come out too low"""
    class_weights: Literal["none", "balanced"]
    """none, or balanced: a class counts the more, the fewer images it has"""
    early_stopping_epochs: Annotated[int, Field(ge=0)]
    """0 (off) or more: stop after so many epochs without a lower validation loss; the best epoch is kept"""
    frozen_epochs: Annotated[int, Field(ge=0)]
    """0 or more: with pretrained weights, first train the new classifier alone"""
    fine_tune_rate: Annotated[float, Field(gt=0, le=1)]
    """above 0, up to 1: with pretrained weights, times the learning rate once all is trained"""
    validation_fraction: Annotated[float, Field(ge=0.01, le=0.5)]
    """0.01 to 0.5: share held out to watch the fit, where the source has no val folder"""
    precision: Precision
    """auto, float32, bfloat16 or float16: what the layers compute in"""
    device: Device
    """auto, cpu, or gpu (stops where there is none)"""
