"""What is known of each segment: the label index."""
