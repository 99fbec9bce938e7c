"""The engine: the one place where sources, transport and sinks meet.

transfer      one download from its first request to its published file
partial       a slice of an object in memory
small         an object that fits into one answer: one request, no other thread
scattered     many ranges of one object, into the caller's buffers
streaming     an object in order, to whoever reads it
processes/    an object shared by several processes
body_inspection
              what one answer's body is held to while it is read
bench/        what limits a link
discovery     the first GET, its redirects, and what it tells
layouts       where stored parts lie, asked of the store
preparing     from the first answer to the checks, the layout and the plan
task          what one pass is given, and what it reports
job           what the workers of a pass share: chunks, digests, retries, the first error
stock         what a pass has to hand out, and who holds it
running_on    streams that a store goes on serving while it refuses all others
worker        a thread with one connection and one buffer
crew          the threads of one pass, from start to end
rescue        streams that hold a pass up, cut for others to go on
shares        what was left of a piece that was cut, divided among those who are free
piece         a chunk on its way, with its running digests
front         digests of whole objects that need their bytes in order
verifying     holding what has landed to the declared digests, and fetching again what is damaged
asking        one request: its redirects, and what a source corrects about itself
givers        which address has brought which chunk
line          requests and answers of one thread, over the connections of the pool
gate          where requests wait when a store asks for fewer
reserve       the retries that all requests to an endpoint share
threads       threads that can be joined at any moment
announcer     events on their way to the caller's thread
cancellation  how a transfer, or one stream of it, is stopped from outside
stores        what is known of a store from one transfer to the next
descriptors   how many connections and files the process may have open
earlier, resuming, already, blocks
              what an earlier run has left, held to its digests, and what this one claims
guessing      a composite digest whose parts nobody tells
range_pass    parts of an object by range, held together by the first answer
"""
