"""Measured against everything a user would pick instead: peers, benchmark, report."""
