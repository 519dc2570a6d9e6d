"""Tables of papers read from LaTeX, Markdown, HTML and CSV, and written as tables that run."""
