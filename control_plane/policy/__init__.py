"""The policy's versions, and the settings that change at run time."""
