"""The commands of `carbrand`, a module each: its arguments, and a few lines over the library.

A module has `add(commands)`, which adds its parser to argparse's, and imports what is heavy only
when the command runs.
"""
