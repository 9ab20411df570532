"""The toy's nodes, named and started as the real ones are."""
