"""Groups of the form, each for some of the settings."""
