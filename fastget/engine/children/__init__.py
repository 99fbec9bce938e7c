"""Child processes, whatever they do.

launch    how one starts
standby   one that is forked before it is needed
process   one, seen from its parent
channel   how two talk
messages  what any two tell each other
portion   what one of several gets of the options
lifetime  a child's own side of it, to its parent's end or its own
"""
