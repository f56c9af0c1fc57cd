"""The BERT encoder, its heads and the 24 sizes."""
