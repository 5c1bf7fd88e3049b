"""A simulated clock and engine under the scheduler that serves."""
