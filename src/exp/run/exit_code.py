"""Exit code of this process, left here by what ran under Hydra, which drops what its functions return."""

code = 0
