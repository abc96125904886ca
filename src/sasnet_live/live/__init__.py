"""The live pipeline: frames in from any thread, registered by one worker, out to sinks, every one of them counted."""
