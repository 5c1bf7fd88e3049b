"""What runs inside Triton around the engine: text, turns, streams. Plain, testable Python."""
