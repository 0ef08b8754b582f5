"""The words of avaload: events, closed sets, errors, the journal, the clock, the redactor. It knows nothing of
ours.
"""
