"""Files that the page holds within itself, as long as they fit."""

from __future__ import annotations

import base64
import io
import urllib.parse
from pathlib import Path

#: Bytes of the page, at most.
LIMIT = 9_500_000
#: Colours of an image: few enough for a small file, enough for curves and bands.
COLOURS = 256


class Budget:
    """What is left of the bytes of the page; what does not fit is linked, relative to the folder of the page."""

    def __init__(self, spent: int) -> None:
        # The text around all else.
        self._left = LIMIT - spent - 500_000
        self.is_spent = False

    def image(self, folder: Path, name: str) -> str:
        """The address of an image: with fewer colours within the page, or the file beside it."""
        from PIL import Image

        with Image.open(folder / name) as image:
            small = io.BytesIO()
            image.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE).save(small, "PNG", optimize=True)
        return self._address(small.getvalue(), name, "image/png")

    def file(self, folder: Path, name: str, media: str) -> str:
        """The address of a file within the page or beside it."""
        return self._address((folder / name).read_bytes(), name, media)

    def _address(self, content: bytes, name: str, media: str) -> str:
        address = f"data:{media};base64,{base64.b64encode(content).decode()}"
        if len(address) > self._left:
            self.is_spent = True
            return urllib.parse.quote(name)
        self._left -= len(address)
        return address


def text_uri(text: str, media: str) -> str:
    """The address of a text within the page."""
    return f"data:{media};charset=utf-8,{urllib.parse.quote(text)}"
