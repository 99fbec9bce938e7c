"""Bytes for a caller instead of a file.

slices      a slice of an object, in memory or in order
scattered   many ranges of one object, into the caller's buffers
range_pass  parts of an object by range, held together by the first answer
streaming   an object in order, to whoever reads it
body        the body of one answer, resumed where the way breaks
inspection  what that body is held to while it is read
surveys     what is asked for beside it
"""
