"""Charts: a drawing for each size of screen, and the numbers behind it as a table."""
