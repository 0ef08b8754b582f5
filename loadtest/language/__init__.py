"""The words of avaload: events, closed sets, errors, the clock, what an output may hold. It knows nothing of ours."""
