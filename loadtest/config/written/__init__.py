"""The scenario as somebody wrote it: on which line a value stands, what is said of one that can't be used, and the
schema by which an editor knows both before avaload does.
"""
