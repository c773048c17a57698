"""What people bring: archives, folders, layouts, and their checks."""
