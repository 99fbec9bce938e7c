"""What a pass has to fetch, who holds what of it, and what has landed.

task        what one pass is given, and what it reports
job         what its workers share: chunks, digests, retries, the first error
stock       what it has to hand out, and who holds it
piece       a chunk on its way, with its running digests
blocks      what has landed of it, claimed in a journal
shares      what was left of a piece that was cut, divided among those who are free
running_on  streams that a store goes on serving while it refuses all others
givers      which address has brought which chunk
"""
