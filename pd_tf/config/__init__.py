"""Settings: frozen dataclasses, how they are loaded, and the flags."""
