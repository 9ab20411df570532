"""The page of `carbrand suggest`: the suggested photos, each with what the model thinks of it."""

from __future__ import annotations

from collections.abc import Sequence

from carbrand.model.suggestions import UNKNOWN, UNSURE, Suggestion
from carbrand.node.wording import count
from carbrand.report.page import Section, render_sections
from carbrand.report.sections.section import Context, show_photo

THUMBNAIL_PX = 320
_SENTENCES = {
    UNSURE: "The model is unsure about these, and they are unlike one another and the training "
    "photos. Move each into the folder of its brand, the most useful first.",
    UNKNOWN: "The model has seen nothing like these. They may be of no brand, or of one that is "
    "missing: add that, or leave them out.",
}


def render_suggestions(suggestions: Sequence[Suggestion], brands: Sequence[str]) -> bytes:
    """The page in UTF-8. Raises UnreadablePhoto."""
    parts = {why: [it for it in suggestions if it.why == why] for why in (UNSURE, UNKNOWN)}
    heading = f"{count(len(parts[UNSURE]), 'photo')} worth a label"
    sections = [(_section(UNSURE, ""), _show(UNSURE, parts[UNSURE]))]
    if parts[UNKNOWN]:
        title = f"{count(len(parts[UNKNOWN]), 'unknown photo')}"
        sections.append((_section(UNKNOWN, title), _show(UNKNOWN, parts[UNKNOWN])))
    return render_sections(heading, heading, sections, brands)


def _section(why: str, title: str) -> Section:
    return Section(why, title, template="suggestions")


def _show(why: str, suggestions: Sequence[Suggestion]) -> Context:
    pictures = [
        (it, show_photo(it.path, THUMBNAIL_PX, f"Photo, maybe of {it.predicted}"))
        for it in suggestions
    ]
    return {"sentence": _SENTENCES[why] if suggestions else "None.", "shown": pictures}
