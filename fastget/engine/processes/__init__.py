"""One object, fetched by several processes: past some Gbit/s the interpreter's lock is the limit of one of them.

The process of the download decides everything and keeps everything: discovery, plan, journal, digests, verdict. Its
children fetch chunks with connections and threads of their own and write them into the same part file, whose
descriptor they inherit; what they tell of it are small records. They hold no credentials: requests are signed for them.
How it was chosen: docs/design/0007-processes.md.

messages   what they tell each other
alone      whether a pass is worth several, and who stands in their place where it is not
company    the children of one pass, from its start to their end
attendant  one of them, seen from the process of the download
child      the process itself
remote     what is the other process's, seen from a child: the job, the source, the gate, the journal
"""
