"""The front door of autoclf: its commands and, for notebooks, its Python interface."""

__version__ = "0.1.0"
