"""What happened, as events and the closed sets of words in them. It knows errors alone."""
