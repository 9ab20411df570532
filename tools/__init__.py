"""Programs that the product never imports."""
