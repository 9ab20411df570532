"""What people do today, written down as they would, to be measured against."""
