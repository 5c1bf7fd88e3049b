"""Who goes into the engine when: pure decisions, told the time and what happened, doing nothing."""
