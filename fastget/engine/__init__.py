"""The engine: the one place where sources, transport and sinks meet.

transfer      one download from its first request to its published file
partial       a slice of an object in memory
discovery     the first GET, its redirects, and what it tells
layouts       where stored parts lie, asked of the store
preparing     from the first answer to the checks, the layout and the plan
task          what one pass is given, and what it reports
job           what the workers of a pass share: chunks, digests, retries, the first error
worker        a thread with one connection and one buffer
crew          the threads of one pass, from start to end
rescue        streams that hold a pass up, cut for others to go on
piece         a chunk on its way, with its running digests
front         digests of whole objects that need their bytes in order
verifying     holding what has landed to the declared digests, and fetching again what is damaged
asking        one request: its redirects, and what a source corrects about itself
givers        which address has brought which chunk
line          requests and answers of one thread, over the connections of the pool
gate          where requests wait when a store asks for fewer
threads       threads that can be joined at any moment
announcer     events on their way to the caller's thread
cancellation  how a transfer is stopped from outside
"""
