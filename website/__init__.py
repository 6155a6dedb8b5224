"""The documentation as a site: ``python -m website`` builds it, strictly, into ``build/site``."""
