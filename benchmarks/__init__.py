"""Every number that the README claims, each from one command."""
