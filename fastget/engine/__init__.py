"""The engine: the one place where sources, transport and sinks meet.

Each room knows those below it alone; rooms of one line know nothing of each other:

download    one download's way, from its first request to its published file
bench       what limits a link

processes   one object shared by several processes
reading     bytes for a caller instead of a file: slices, ranges, streams, the body of one answer
small       objects that fit into one answer: one request, no other thread

workers     the threads of a pass: each has a connection and a buffer, and all are watched by the caller's
discovery   what there is: an object's facts, where its parts lie, a listing; and the plan that follows
children    child processes, whatever they do: how they start, live, talk and end

pieces      what a pass has to fetch, who holds what of it, and what has landed

exchange    one request and its answer, and what is known of who answers

announcer     events on their way to the caller's thread
cancellation  how a transfer, or one stream of it, is stopped from outside
descriptors   how many connections and files the process may have open
threads       threads that can be joined at any moment
"""
