"""Attention blocks: plain torch modules that keep the shape of (B, C, H, W), and their options."""
