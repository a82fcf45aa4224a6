"""Image or segmentation: what decides it where the configuration is silent."""
