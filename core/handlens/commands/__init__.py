"""What the command line does, a module a command. Each ``run`` takes the parsed arguments and returns JSON values."""
