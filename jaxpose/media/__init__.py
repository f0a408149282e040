"""Images and videos: all code that decodes pixels."""
