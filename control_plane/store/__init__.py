"""The only SQL of Conch: the tables, and what is asked of them."""
