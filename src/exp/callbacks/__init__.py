"""What a run does while it trains: checkpoints, averaged weights, early stopping, records, loggers."""
