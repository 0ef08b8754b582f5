"""Who is at fault, the operator, avaload or the target: as exceptions, as words, as exit codes. It knows nobody."""
