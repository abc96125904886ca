"""Recordings on disk, opened one way whatever wrote them."""
