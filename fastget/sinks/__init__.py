"""Where bytes go: files, memory and streams. Each keeps the contract of `fastget.sinks.protocol`.

choose      which of them a path means
protocol    what the engine asks of all of them

file        a file that appears only when it is whole
whole       the same for one that comes in one piece
kept        the same, to be gone on with after whatever ended it
lent        the part file of another process's download
memory      a buffer of fastget's own, or the caller's
scattered   many ranges, each in a memory of its own
stream      bytes that leave in order
outlet      the far end of a stream
handoff     one that leads to another thread

existing    what stands under the final name before
journal     the journal on the disk, and how it changes hands
ownership   whose it is, and whether that process lives
orphans     part files that no journal names
reopening   what an earlier run has left, opened again
names       the hidden names beside a destination
anonymous   files without a name
descriptor  a descriptor that many threads use
modes       permission bits
replacing   whether a file may be replaced at all
space       room on the disk, taken before the first byte
writeback   writing to the disk while more is coming
publishing  the flush, and the name
failures    what the system said, as fastget's errors
"""
