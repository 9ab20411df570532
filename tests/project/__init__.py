"""Tests of the wiring, the documents, the workflows and the supply chain."""
