"""What happened, as events and the closed sets of words in them; errors, and whose fault each is. It knows nobody."""
