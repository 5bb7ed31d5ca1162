"""A model on the network: batches, limits, a page, and the change to a new champion without a stop."""
