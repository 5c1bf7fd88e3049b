"""One module per outside system; its types and exceptions stop there."""
