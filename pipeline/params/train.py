"""Section `train`: how the network is fitted, for `train` and every fold."""

from typing import Annotated, Literal

from pydantic import Field

from pipeline.params.section import Section

Precision = Literal["auto", "float32", "bfloat16", "float16"]
Device = Literal["auto", "cpu", "gpu"]
Optimizer = Literal["sgd", "rmsprop", "adam", "adamw", "nadam", "lion", "muon"]
Schedule = Literal["linear", "cosine", "constant"]
Auto = Literal["auto"]


class Train(Section):
    fine_tune: Literal["auto", "none", "all"] | Annotated[int, Field(ge=1, le=2)]
    """auto, none, 1, 2 or all: with pretrained weights, last stages to fit besides the classifier; auto: 2, if better on validation images"""
    epochs: Auto | Annotated[int, Field(ge=1)]
    """auto (by what is fitted), or 1 or more: passes over the training images"""
    min_steps: Auto | Annotated[int, Field(ge=0)]
    """auto, or 0 or more: small data sets get more epochs, until they have at least this many steps"""
    batch_size: Auto | Annotated[int, Field(ge=1)]
    """auto, or 1 or more images per step; halved for small data sets until an epoch has 32 steps"""
    optimizer: Auto | Optimizer
    """auto, sgd, rmsprop, adam, adamw, nadam, lion or muon (docs/training.md)"""
    learning_rate: Auto | Annotated[float, Field(gt=0, allow_inf_nan=False)]
    """auto (by optimizer and network), or above 0: peak rate for a batch of 256; scales with the batch"""
    schedule: Auto | Schedule
    """auto, linear, cosine or constant: decay of the learning rate to 1 % after the warm-up"""
    warmup_fraction: Auto | Annotated[float, Field(ge=0, le=1)]
    """auto, or 0 to 1: fraction of the steps in which the learning rate rises"""
    momentum: Literal["auto"] | Annotated[float, Field(ge=0, lt=1)]
    """auto (0.85 for muon, else 0.9), or 0 up to 1: for sgd (Nesterov), rmsprop and muon"""
    weight_decay: Auto | Annotated[float, Field(ge=0, le=1)]
    """auto (by optimizer), or 0 to 1: multiplied by the learning rate at each step, kernels only"""
    label_smoothing: Auto | Annotated[float, Field(ge=0, lt=1)]
    """auto, or 0 up to 1: values above 0 make the model underconfident"""
    class_weights: Literal["none", "balanced"]
    """none, or balanced: weight classes inversely to their number of images"""
    early_stopping_epochs: Annotated[int, Field(ge=0)]
    """0 (off) or more: stop after this many epochs without a lower validation loss; keeps the best epoch"""
    frozen_epochs: Annotated[int, Field(ge=0)]
    """0 or more: with pretrained weights, epochs that train only the new classifier"""
    fine_tune_rate: Annotated[float, Field(gt=0, le=1)]
    """above 0, up to 1: with pretrained weights, factor of the learning rate for fine-tuning"""
    validation_fraction: Annotated[float, Field(ge=0.01, le=0.5)]
    """0.01 to 0.5: fraction held out for validation if the source has no validation images"""
    precision: Precision
    """auto, float32, bfloat16 or float16: precision of the layers"""
    device: Device
    """auto, cpu, or gpu (stops if there is none)"""
