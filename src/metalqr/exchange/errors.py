"""The error of an exchange by files."""


class ExchangeError(ValueError):
    """A file of an exchange cannot be used; the message names it, the row, the value and the next step."""
