"""A live view of cells from their files alone: in the terminal, in a browser, and as a static site. Only reads."""
