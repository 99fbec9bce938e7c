"""One request and its answer, and what is known of who answers.

asking     one request: its redirects, and what a source corrects about itself
line       requests and answers of one thread, over the connections of the pool
floor      the least rate of what one thread reads for itself
gate       where requests wait when a store asks for fewer
retries    the failures in a row of one request, and when to try again
moulding   answers about objects that are like an earlier one
pinning    what requests are pinned to, as far as the store takes it
reserve    the retries that all requests to an endpoint share
stores     what is known of a store from one transfer to the next
stopwatch  how long a thread waits for something else than the network
"""
