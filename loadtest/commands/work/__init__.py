"""What commands do where that is more than a call: a load run and what is looked at before it, calibration,
checks. It knows settings, no option.
"""
