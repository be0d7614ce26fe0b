"""One file per source of raw rows; each stands alone and declares a ``SOURCE``."""
