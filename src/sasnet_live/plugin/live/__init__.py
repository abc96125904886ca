"""The window of live registration."""
