"""Money: what a run cost by estimate, and what its sessions say of a larger plan."""
