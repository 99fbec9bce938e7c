"""One download's way, from its first request to its published file.

transfer   all of it, in order
unchanged  what is here already, and the same
earlier    what an earlier run has left, and what this one claims
resuming   what was left, read again and held to its digests
front      digests of whole objects that need their bytes in order
guessing   a composite digest whose parts nobody tells
digesting  digests of spans that are read back
verifying  holding what has landed to the declared digests, and fetching again what is damaged
"""
