"""OpenID providers whose tokens are taken."""
