"""Tables of the scenario file that stand lower than the scenario itself, and what all tables have in common."""
