"""All that a front end needs for people to label: sessions, rendering, status, instructions."""
