"""Files of nodes and of DVC: atomic writes, tables, metrics, YAML. Begin with `atomic.py`."""
