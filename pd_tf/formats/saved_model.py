"""The files that every SavedModel of pd_tf's has."""

# Beside saved_model.pb it marks a module of TF1.
TF1_MODULE = "tfhub_module.pb"

OWN_FILES = (
    "saved_model.pb", "keras_metadata.pb", "fingerprint.pb", "variables",
    "assets", "assets.extra", TF1_MODULE,
)

# In the place for what a SavedModel carries and its graph does not use.
CONFIG = "assets.extra/bert_config.json"
