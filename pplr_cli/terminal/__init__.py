"""What people see in a terminal: console, live progress, standard streams."""
