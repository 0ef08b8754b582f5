"""What good enough means: service levels and rules as they are stated, samples, objectives, fitness of the
generator, values in words.
It knows events, and nothing of who makes them.
"""
