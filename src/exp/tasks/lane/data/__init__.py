"""Lane sets, their labels and batches."""
