"""Maps of bodies' surfaces (DensePose) from crops of images."""
