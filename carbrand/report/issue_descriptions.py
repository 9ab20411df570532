"""The issue codes of the manifest explained."""

from __future__ import annotations

from carbrand.node.wording import humanise

# In the order of the report.
MEANINGS = {
    "hidden": "A file that tools leave behind. Never counted as a photo.",
    "not_a_photo": "Not named like a photo, or outside the brands' folders. Never counted as one.",
    "left_out": "corrections.csv leaves it out.",
    "unreadable": "The file cannot be decoded.",
    "truncated": "The file ends too early: a part of the photo is missing.",
    "unsupported_format": "An image in a format that is not supported.",
    "too_large": "More pixels than allowed; not decoded.",
    "damaged": "Decodes, but some of its bytes were changed: parts of the picture may be wrong.",
    "wrong_extension": "The bytes are of another format than the name says. Read all the same.",
    "too_small": "So few pixels that the network sees mostly interpolation.",
    "extreme_aspect": "Very wide or very high: little of the object is left in a square.",
    "sixteen_bit": "16 bits per colour; scaled to 8.",
    "cmyk": "Colours for print; converted to those of a screen.",
    "colour_profile": "Colours of another space than sRGB; converted to it.",
    "unusable_profile": "Its colour profile is broken, too large or for other pixels: not used.",
    "palette": "At most 256 colours, from a palette.",
    "alpha": "Partly transparent; laid on white.",
    "exif_rotated": "Stored rotated or mirrored; put upright.",
    "animated": "Several pictures in one file; only the first is used.",
    "one_colour": "Almost a single colour: there may be nothing to see.",
    "dark": "Very dark.",
    "bright": "Very bright.",
    "blurry": "Hardly any sharp edge.",
    "low_information": "Hardly any detail.",
    "missing_brand": "The brand has photos in one split only.",
    "label_conflict": "The same picture lies under two brands: one of them must be wrong.",
    "leaked": "A test photo that is a copy of a training photo: it would inflate the accuracy.",
    "duplicate": "A copy inside a split: it would count twice.",
    "suspected": "May be a copy of another photo, or another shot of the same scene.",
}


def meaning(code: str) -> str:
    """One line; empty for an unknown code."""
    return MEANINGS.get(code, "")


def sort_key(code: str) -> tuple[int, str]:
    """Sorts codes in the order above; unknown ones come last, by name."""
    return (list(MEANINGS).index(code) if code in MEANINGS else len(MEANINGS), code)


def issue_name(code: str) -> str:
    """`exif_rotated` as `EXIF rotated`."""
    return {"cmyk": "CMYK", "exif_rotated": "EXIF rotated", "sixteen_bit": "16 bits"}.get(
        code, humanise(code)
    )
