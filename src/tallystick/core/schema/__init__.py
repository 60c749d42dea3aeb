"""JSON Schema (2020-12) of every kind of entry, for other people's tools; the product checks with its own parsers.

`<kind>.json` describes `{"stub": …, "parts": {path: value, …}}` of an entry of which no part was destroyed;
`values.json` holds what they are made of. `docs/reference/entries.md` says what no schema can.
"""
