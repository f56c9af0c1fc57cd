"""Signatures: the SavedModels that others load."""
