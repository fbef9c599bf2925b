"""Hunter: finds companies, watches their domains, keeps the leads."""

__version__ = "1.0.1"
