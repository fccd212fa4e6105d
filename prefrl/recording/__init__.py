"""From steps of the environment to segments and their clips."""
