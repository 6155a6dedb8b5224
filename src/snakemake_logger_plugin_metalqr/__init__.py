"""Snakemake's output on a terminal, one line for each finished job: ``snakemake --logger metalqr``."""

from snakemake_logger_plugin_metalqr.handler import LogHandler

__all__ = ["LogHandler"]
