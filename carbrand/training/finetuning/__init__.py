"""Fine-tuning: the backbone learns too, in Keras. Begin with `tune.py`."""
