"""What happened since the bundle, in order and durable. The truth; everything else is derived."""
