"""Usage: from the stream of events to the database, and reports of it."""
