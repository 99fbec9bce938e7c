"""The core: facts in, decisions out.

Nothing here opens a socket or a file, asks for the time, starts a thread or draws a random number, and no payload
enters: the core sees offsets, lengths, statuses, headers, times and digests that the edge tells it.

messages       requests and the heads of answers, as values
urls           what to connect to, what to ask for, and a form that is safe to print
ranges         byte ranges, and how the wire writes them
objectinfo     what is known of an object, and what every later answer must agree with
validators     whether the body of an answer may be written where it was asked for
moulds         answers to ranges of one object, recognised by the first of them
object_moulds  answers about whole objects of one store, likewise
redaction      secrets struck out of what others say

planner        an object cut into chunks
layout         where stored parts lie
guesses        where they may lie, where nobody tells
board          who fetches which chunk
coalesce       many small ranges as fewer requests
checksums/     what was declared, and whether it holds

governor       how many connections are worth having
lookout        whether a number that was found still is
straggler      which streams others had better finish
reinforcement  when several processes pay for small objects
bucket         how many bytes a second
throttle       how many requests a store bears at once
retry          which failure is worth another try
addresses      which of a host's addresses comes next
store_memory   what one store has taught

journal        what an unfinished download leaves written
keypaths       from keys to file names
sweep          which measurements of a link are worth making
bottleneck     what limits it
"""
