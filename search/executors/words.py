"""What a driver and its worker processes say to each other, besides orders and events."""

STOP = "stop"  # to a worker: leave a checkpoint, and be done with the order
FREE = b"free"  # from a worker: it is done, and takes the next order
