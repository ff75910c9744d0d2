"""The layers a network is written with."""

from .activation import LeakyReLU, ReLU, Sigmoid, Softmax, Tanh
from .base import Layer, Parameter, from_config
from .conv import Conv2D
from .dense import Dense, Flatten
from .pool import AvgPool2D, GlobalAvgPool2D, MaxPool2D
from .regularization import BatchNorm, Dropout

__all__ = [
    "AvgPool2D",
    "BatchNorm",
    "Conv2D",
    "Dense",
    "Dropout",
    "Flatten",
    "GlobalAvgPool2D",
    "Layer",
    "LeakyReLU",
    "MaxPool2D",
    "Parameter",
    "ReLU",
    "Sigmoid",
    "Softmax",
    "Tanh",
    "from_config",
]
