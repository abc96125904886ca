"""The napari plugin: register what a microscope scans, and see it; napari finds its parts through `napari.yaml`."""
