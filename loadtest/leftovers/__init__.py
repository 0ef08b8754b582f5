"""What a run may have left at the target: found in its journals, deleted by `avaload sweep`, and by an engine after its
predecessor died. It knows the services."""
