"""Results of a prediction: people, and writers and readers of result files."""
