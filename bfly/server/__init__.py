"""HTTP and websockets; no other folder knows them."""
