"""The lane language model and its parts."""
