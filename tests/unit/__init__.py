"""Tests of single modules, by room; they start no process."""
