"""What the services charge: one dated table, and what a talk costs by it.

It knows the language alone.
"""
