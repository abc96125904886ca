"""Bidirectional scans with a known truth: vascular scenes, the scanner that records them, named data sets."""
