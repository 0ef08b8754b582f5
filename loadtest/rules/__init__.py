"""The rules of docs/contract.md#rules, folded from events: while the load runs, and again from the journals."""
