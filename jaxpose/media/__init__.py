"""Images and videos: everything that opens pixels."""
