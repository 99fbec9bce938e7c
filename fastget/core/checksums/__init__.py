"""Checksums: what they are, how pieces become a whole, and what was declared.

algorithms    the ten algorithms of S3, and running hashers for them
castagnoli    CRC32C, without the package around it
combine       CRCs of pieces folded into the CRC of the whole, and composites of part digests
declared      the digests that a store, or the caller, declares for an object
structured    dictionaries of byte sequences in header fields (RFC 9651), as digest fields are written
verification  what was declared against what arrived, and the report of it
"""
