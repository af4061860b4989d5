"""A trained network as one file for other programs: StableHLO, SavedModel, TFLite, ONNX (docs/export.md)."""
