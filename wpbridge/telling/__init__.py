"""What wpbridge tells people and machines: the texts of terminals and of log lines."""
