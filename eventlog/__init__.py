"""What happened since the bundle, in order and durable: the contract of service and training."""
