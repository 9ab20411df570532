"""What the project depends on: the locks, their licences, and programs that look at both."""
