"""The gate: may a new model replace an old one, judging by their predictions for the same photos?

Begin with `comparison.compare_models`. `decision` holds the verdicts, `statistics` the tests,
`revision` what is read from Git. `as_text`, `as_json` and `as_markdown` format a comparison.
`gate_params` imports nothing heavy.
"""
