"""Measurements of fastget: side by side with its peers, its start-up, and its parts (micro)."""
