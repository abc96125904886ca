"""What window and shell share: a live session, what it records and shows, and its settings; no Qt, no napari."""
