"""The engine: the one place where sources, transport and sinks meet.

transfer     one download from its first request to its published file
discovery    the first GET, its redirects, and what it tells
layouts      where stored parts lie, asked of the store
job          what the workers of a transfer share: chunks, digests, retries, the first error
worker       a thread with one connection and one buffer
crew         the threads of one pass, from start to end
piece        a chunk on its way, with its running digests
front        digests of whole objects that need their bytes in order
repair       finding damaged chunks and fetching them again
threads      threads that can be joined at any moment
line         requests and answers of one thread, over the connections of the pool
cancellation how a transfer is stopped from outside
"""
