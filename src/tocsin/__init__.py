"""Field reports and operations whose every change reaches other systems as a webhook notification."""

__version__ = "0.1.0"
