"""Building blocks in plain torch: one idea a file, no knowledge of Hydra, Lightning or config."""
