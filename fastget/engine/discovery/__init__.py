"""What there is, and the plan that follows.

opening         the first GET, its redirects, and what it tells
layouts         where stored parts lie
part_questions  that, asked of the store
preparing       from the first answer to the checks, the layout and the plan
lister          a listing, page by page
"""
