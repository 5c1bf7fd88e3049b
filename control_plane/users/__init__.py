"""People, by issuer and subject."""
