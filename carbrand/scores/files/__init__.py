"""Files of an evaluation: predictions, histories, suspects. Begin with `predictions_file.py`."""
