"""Many steps, unattended: their definition, the inbox that starts them, notices and timers."""
