"""Handlens: a small convolutional neural network library that runs in CPython and in a browser tab.

import handlens
model = handlens.load("web/models/digits.safetensors")
model.predict(images)                      # (N, 10) probabilities, images (N, 1, 28, 28) in 0..1
"""

from . import architectures, backends, callbacks, data, errors, images, io, strokes
from .io.model_file import load
from .layers import (
    AvgPool2D,
    BatchNorm,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    GlobalAvgPool2D,
    LeakyReLU,
    MaxPool2D,
    ReLU,
    Sigmoid,
    Softmax,
    Tanh,
)
from .losses import CrossEntropy, MeanSquaredError
from .model import Sequential
from .optimizers import SGD, Adam, AdamW
from .plan import Plan
from .schedules import Constant, Cosine, OneCycle

__version__ = "0.1.0"

__all__ = [
    "SGD",
    "Adam",
    "AdamW",
    "AvgPool2D",
    "BatchNorm",
    "Constant",
    "Conv2D",
    "Cosine",
    "CrossEntropy",
    "Dense",
    "Dropout",
    "Flatten",
    "GlobalAvgPool2D",
    "LeakyReLU",
    "MaxPool2D",
    "MeanSquaredError",
    "OneCycle",
    "Plan",
    "ReLU",
    "Sequential",
    "Sigmoid",
    "Softmax",
    "Tanh",
    "architectures",
    "backends",
    "callbacks",
    "data",
    "errors",
    "images",
    "io",
    "load",
    "strokes",
]
