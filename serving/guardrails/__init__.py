"""What is looked for in texts, and what is done about it. Pure functions."""
