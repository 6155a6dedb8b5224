"""The config: its settings, its checks, and the plan of runs that follows from it.

Importing this package needs neither NumPy, Numba nor Snakemake, so that planning starts fast. Planning also imports the
plug-ins (see :mod:`metalqr.config.registry`).
"""

from metalqr.config.checks import check_config
from metalqr.config.plan import Plan
from metalqr.config.problems import ConfigError
from metalqr.config.reading import read_arguments, read_config, read_configs

__all__ = ["ConfigError", "Plan", "check_config", "read_arguments", "read_config", "read_configs"]
