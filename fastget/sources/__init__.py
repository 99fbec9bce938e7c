"""What a URL means: how each kind of store is asked for an object, and what its answers mean."""
