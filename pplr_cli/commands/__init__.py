"""The commands: options to config to engine to what is printed."""
