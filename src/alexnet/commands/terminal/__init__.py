"""What people see in a terminal: progress and warnings, tables, scores."""
