"""Who calls: API keys and JWTs checked against the published policy; for both services."""
