"""A comparison as text, Markdown or JSON. Begin with `as_text.py`."""
