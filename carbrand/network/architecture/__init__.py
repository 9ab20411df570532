"""The networks themselves, layer by layer, as Keras or plain data. Begin with `applications.py`."""
