"""Where registered frames go."""
