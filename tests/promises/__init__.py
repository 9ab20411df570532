"""What the README and SECURITY.md promise, each with the test that holds it."""
