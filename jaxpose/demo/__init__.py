"""A page that shows what a model sees: a photo or a film in, skeletons and a table out."""
