"""Results of a prediction: people, and the files that they are written to and read from."""
