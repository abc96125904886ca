"""Files made of what was found in each scan of a recording: displacements, shifts, reports. See `protocol`."""
