"""The precisions, by the names that Keras gives such policies."""

from typing import Literal

Precision = Literal["float32", "mixed_bfloat16", "mixed_float16"]

# Of matrix products.
COMPUTE_DTYPES: dict[str, str] = {
    "float32": "float32",
    "mixed_bfloat16": "bfloat16",
    "mixed_float16": "float16",
}
