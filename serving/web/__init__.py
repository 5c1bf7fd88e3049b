"""What every HTTP service of Conch has: errors on the wire, logs, a process that serves."""
