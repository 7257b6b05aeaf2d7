"""The fault campaign: random schedules over three clouds at once, against an oracle."""
