"""People log in by their OpenID provider, and have a session here."""
