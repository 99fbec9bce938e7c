"""The threads of a pass.

worker     a thread with one connection and one buffer
reception  how it gets its bytes
turns      large buffers that many workers share
crew       all of them, from start to end
anew       the whole object asked for once more
rescue     streams that hold a pass up, cut for others to go on
cut        why one is
"""
