"""Settings: typed fields, presets, documents, and readable problems."""
