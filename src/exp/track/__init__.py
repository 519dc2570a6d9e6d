"""What a run leaves behind while it goes: metrics and progress."""
