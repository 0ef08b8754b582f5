"""The active checks: each provokes what a rule of PROTOCOL.md section 4 speaks of, and judges what the wire shows."""
