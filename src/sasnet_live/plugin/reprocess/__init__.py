"""The window that registers recordings."""
