"""Clients that are Python libraries, each as a program: python -m benchmarks.clients.NAME URL FILE NUMBER."""
