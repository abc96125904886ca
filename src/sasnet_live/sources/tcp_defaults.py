"""Where other programs connect to, unless a person says otherwise. No NumPy."""

HOST, PORT = "127.0.0.1", 27182
"""This computer alone; a port that no service is registered for, below those that systems hand out by themselves."""
