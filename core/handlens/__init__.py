"""Handlens: a small convolutional neural network library that runs in CPython and in a browser tab."""

__version__ = "0.1.0"
