"""What an operator can set that several services share, and how any setting is read."""
