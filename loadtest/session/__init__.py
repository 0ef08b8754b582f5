"""One session from mint to delete, and what is heard in it. It knows the services and rooms by `ports` alone."""
