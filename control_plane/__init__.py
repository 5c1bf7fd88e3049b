"""Who may call what, how much, through which route, and what it cost."""
