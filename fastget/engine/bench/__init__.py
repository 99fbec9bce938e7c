"""`fastget bench`: what limits the link to one object, measured.

link       all of it, in turn: the sweep, what lies around it, and the verdict
measuring  one measurement: so many connections for a moment
flow       one connection of a measurement
by_itself  what a download does without being told
machine    cores, disk and digests of this machine

The verdict itself is decided in core/bottleneck and core/sweep.
"""
