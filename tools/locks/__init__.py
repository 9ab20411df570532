"""Programs about the locks in requirements/: licences, known weaknesses, platforms, contents."""
