"""Many objects by one call: what is asked for, where it goes, and the threads that fetch it.

items       what is to be fetched: a list of URLs, a file of them, or a listing
folder      the directory that everything lands in, and nothing outside of it
batch       small files that are flushed together, and only then get their names
means       what a client lends to a pull
lines       what one thread fetches small objects over
puller      one thread, which carries out orders
crew        the threads that take objects from a bounded queue, as many as pay
unserved    those of them that a server leaves without an answer
processes/  small objects shared by several processes
pull        one call, from its first item to its summary
outcome     what came of it
"""
