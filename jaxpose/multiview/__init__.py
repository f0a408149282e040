"""Several calibrated cameras: from pixels in each to points in the world."""
