"""The rules of PROTOCOL.md section 4, folded from events: while the load runs, and again from the journals."""
