"""Many small objects, fetched by several processes: past some thousand a second the interpreter is the limit of one.

The process of the pull names the objects, makes and signs their requests, and fetches as well. Its children send those
requests, check what comes, and write it below the same directory, whose descriptor they inherit. What is unusual in any
way comes back to the process of the pull, which alone decides what it means. How it was chosen: docs/design/0009.

messages   what they tell each other
alone      whether a pull may have several, and who stands in their place where not
company    the children of one pull: whether they pay, and their end
starting   how one of them begins
attendant  one of them, seen from the process of the pull
child      the process itself
"""
