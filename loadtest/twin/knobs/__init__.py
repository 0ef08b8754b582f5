"""How the twin behaves: the kinds of values, the knobs of each side, one profile, the seeded chance."""
