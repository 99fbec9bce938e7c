"""What an object server can be asked beside an object: each module is one operation of S3.

from fastget.testing import ObjectServer
from fastget.testing.operations.listing import Listing

with ObjectServer(objects, operations=[Listing(objects)]) as server:
    ...
"""
