"""Text worlds that memories are tried in, all with the contract of mnemic.environment."""
