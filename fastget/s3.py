"""GetObject, shaped as the SDKs shape it."""
