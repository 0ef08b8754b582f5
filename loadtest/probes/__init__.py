"""The active checks: each provokes what a rule of docs/contract.md#rules speaks of, and judges what the wire shows."""
