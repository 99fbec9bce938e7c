"""Objects that fit into one answer: one request, no other thread.

plain     what an object has to be for that, and what its bytes are held to
objects   one after the other, each from its request to its file
at_once   one of them, as a download finds that it is small
ahead     the next one, asked for while this one is read
here      one of them whose file is here already
"""
