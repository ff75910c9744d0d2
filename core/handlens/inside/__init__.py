"""Look inside: what made each number of a network, and where it comes from."""
