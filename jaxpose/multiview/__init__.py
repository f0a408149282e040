"""Several calibrated cameras: converts pixels in each to points in the world."""
