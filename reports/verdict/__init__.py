"""Is it good enough: objectives, rules, one outcome and one exit code."""
