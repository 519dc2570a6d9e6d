"""Lane scores by the official rules, and what an evaluation measures beside them."""
