"""Where other programs connect to, and how large their frames may be, unless a person says otherwise. No NumPy."""

HOST, PORT = "127.0.0.1", 27182
"""This computer alone; a port that no service is registered for, below those that systems hand out by themselves."""
LARGEST_MIB = 256.0
"""Memory that one frame may take: 8192 x 8192 px of 32 bits, and no accident of a wrong header."""
