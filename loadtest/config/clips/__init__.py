"""What a scenario's caller says: how long it takes, which every process may ask, and the sound itself, for those that
have it."""
