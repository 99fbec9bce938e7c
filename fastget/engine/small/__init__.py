"""Objects that fit into one answer: one request, no other thread.

objects   one of them, from its request to its file
ahead     the next one, asked for while this one is read
moulding  answers that are like an earlier one
"""
