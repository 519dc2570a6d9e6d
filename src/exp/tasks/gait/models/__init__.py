"""Gait nets and their parts."""
