"""Networks in plain torch, built from exp.nn; no knowledge of Hydra, Lightning or config."""
