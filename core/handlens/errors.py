"""Errors that Handlens raises: each names what was met and a way out."""

from __future__ import annotations


class HandlensError(Exception):
    """Base of every error that Handlens raises on purpose."""


class ShapeError(HandlensError, ValueError):
    """Shapes that do not fit together; the message names the layer, the shapes met and a way out."""


class FormatError(HandlensError, ValueError):
    """A file that is truncated, corrupt, oversized or of another kind."""


class DataError(HandlensError, ValueError):
    """Data that cannot be trained on or read: wrong type, range, length or source."""


class PlanError(HandlensError, ValueError):
    """A plan that breaks a rule every backend relies on."""


class BackendError(HandlensError, RuntimeError):
    """A backend that cannot run; the message says why and which one can."""


class DivergenceError(HandlensError, ArithmeticError):
    """Training that produced a loss or a parameter that is not finite."""
