"""One cell in one process: job, training, ranks."""
