"""What single steps cost, with pytest-benchmark: pytest benchmarks/micro."""
