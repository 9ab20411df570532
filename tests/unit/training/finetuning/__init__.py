"""Unit tests of carbrand/training/finetuning."""
