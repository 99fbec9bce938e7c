"""The core: facts in, decisions out.

Nothing here opens a socket or a file, asks for the time, starts a thread or draws a random number, and no payload
enters: the core sees offsets, lengths, statuses, headers, times and digests that the edge tells it.
"""
