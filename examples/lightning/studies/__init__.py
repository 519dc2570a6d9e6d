"""LightningModules that know nothing of exp, and the options that make tasks of them."""
