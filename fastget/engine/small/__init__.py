"""Objects that fit into one answer: one request, no other thread.

objects   one of them, from its request to its file
ahead     the next one, asked for while this one is read
here      one of them whose file is here already
"""
