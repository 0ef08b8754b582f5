"""What was heard of the avatars: holes and loss, and whether answers get slower with age."""
