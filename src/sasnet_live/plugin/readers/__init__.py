"""What napari opens with this plugin."""
