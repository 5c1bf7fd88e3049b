"""What models cost, and their limits over all tenants."""
