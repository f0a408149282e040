"""Motion of skeletons: bone lengths, joint limits, smoothing, filling and motion files."""
