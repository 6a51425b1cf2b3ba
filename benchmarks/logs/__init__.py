"""How fast logs are read, and with how much memory."""
