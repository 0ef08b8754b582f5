"""Client secrets over REST."""
