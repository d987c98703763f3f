"""Redis and Valkey: many hosts, labels within days, all that is awaited in the server's memory."""
