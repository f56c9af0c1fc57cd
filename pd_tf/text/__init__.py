"""The vocabulary, and texts to WordPiece ids."""
