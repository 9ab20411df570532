"""Whether a new model may take the place of an old one, by what both say of the same test photos.

`comparison.compare` reads both sides and judges; `as_text`, `as_json` and `as_markdown` hold a
function of their own name that writes what it found. `params.GateParams` are the rules, and imports
nothing heavy. `statistics` holds the tests, `judgement` the three verdicts, `revision` all of Git.
"""
