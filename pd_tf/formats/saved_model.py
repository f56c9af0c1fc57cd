"""The files that every SavedModel of pd_tf's has."""

OWN_FILES = (
    "saved_model.pb", "keras_metadata.pb", "fingerprint.pb", "variables",
    "assets", "assets.extra", "tfhub_module.pb",
)

# In the place for what a SavedModel carries and its graph does not use.
CONFIG = "assets.extra/bert_config.json"
