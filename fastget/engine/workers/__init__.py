"""The threads of a pass.

worker  a thread with one connection and one buffer
crew    all of them, from start to end
rescue  streams that hold a pass up, cut for others to go on
cut     why one is
"""
