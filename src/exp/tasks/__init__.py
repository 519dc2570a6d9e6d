"""What is learnt: one LightningModule a task."""
