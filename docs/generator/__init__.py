"""What of the documents is generated from the code: the rules of docs/contract.md, and docs/reference/.

`python -m docs.generator` writes it, `--check` says what is not as written. It may know everything; nothing knows it.
"""
