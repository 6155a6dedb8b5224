"""Small copies of figures, for the documentation."""

from io import BytesIO
from pathlib import Path

from PIL import Image

#: Most pixels of a copy, from left to right.
WIDTH = 1600


def small(path: Path) -> bytes:
    """A figure as a PNG that is no wider than a page needs, with a palette of 256 colours."""
    with Image.open(path) as drawn:
        image = drawn.convert("RGB")
    if image.width > WIDTH:
        image = image.resize((WIDTH, round(image.height * WIDTH / image.width)), Image.Resampling.LANCZOS)
    written = BytesIO()
    image.quantize(256, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE).save(written, "PNG", optimize=True)
    return written.getvalue()
