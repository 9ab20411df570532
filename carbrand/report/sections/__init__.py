"""The sections of report.html. Begin with `section.py`, which says what they share."""
