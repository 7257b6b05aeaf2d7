"""Which font writes which text in a PDF.

Helvetica is in every reader and writes Western European; Noto Sans is embedded and writes the other
Latin, Greek and Cyrillic letters. East Asian letters take a font that the reader has to bring along,
as PDF provides for; what no font has becomes a question mark, so that it is seen to be missing.
"""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from importlib.resources import as_file, files
from itertools import groupby
from typing import Any

from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.pdfbase.ttfonts import TTFont

REGULAR = "Helvetica"
BOLD = "Helvetica-Bold"
_WIDE = "NotoSans"
_FILE = "files/NotoSans[wdth,wght].ttf"
_EAST_ASIAN = (
    (0x3040, 0x30FF, "HeiseiKakuGo-W5"),
    (0xAC00, 0xD7A3, "HYGothic-Medium"),
    (0x3000, 0x303F, "STSong-Light"),
    (0x3400, 0x9FFF, "STSong-Light"),
    (0xFF00, 0xFFEF, "STSong-Light"),
)


def register_fonts() -> None:
    """Make the fonts known; a second time does nothing."""
    if _WIDE in pdfmetrics.getRegisteredFontNames():
        return
    for name in sorted({font for _, _, font in _EAST_ASIAN}):
        pdfmetrics.registerFont(UnicodeCIDFont(name))
    with as_file(files("fontpkg_noto_sans").joinpath(_FILE)) as path:
        pdfmetrics.registerFont(TTFont(_WIDE, str(path)))


def marked_up(text: str, *, bold: bool = False) -> str:
    """A text for a paragraph, escaped, with a font for each of its parts."""
    parts = []
    for font, run in _runs(text):
        if font == REGULAR:
            parts.append(f"<b>{escape(run)}</b>" if bold else escape(run))
        else:
            parts.append(f'<font name="{font}">{escape(run)}</font>')
    return "".join(parts)


def _runs(text: str) -> Iterator[tuple[str, str]]:
    """Parts of a text with a font each: one for all of it but what only another can write."""
    fonts = [_font_of(character) for character in text]
    if _WIDE in fonts:
        fonts = [_WIDE if font == REGULAR else font for font in fonts]
    chosen = zip(fonts, text, strict=True)
    for font, characters in groupby(chosen, key=lambda each: each[0]):
        run = "".join(character for _, character in characters)
        yield (REGULAR, "?" * len(run)) if font is None else (font, run)


def _font_of(character: str) -> str | None:
    try:
        character.encode("cp1252")
    except UnicodeEncodeError:
        pass
    else:
        return REGULAR
    code = ord(character)
    for first, last, font in _EAST_ASIAN:
        if first <= code <= last:
            return font
    wide: Any = pdfmetrics.getFont(_WIDE)
    return _WIDE if code in wide.face.charToGlyph else None
